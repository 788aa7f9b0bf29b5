"""Width and height of an image from its first bytes: PNG, JPEG, GIF and WebP.

Layer: core (pure: bytes in, numbers out).  Below: nothing.  Above: core.media_tokens.
No pixel is decoded, so a small file that claims to be huge costs nothing to look at; a header may
lie, so no bound rests on it, only what `estimate` expects.

Sources, checked 2026-11-27: the PNG specification (third edition, 11.2.1), ITU-T T.81 (B.2.2) and
Exif 2.32 (4.6.4, orientation), the GIF89a specification (18), and RFC 9649 (WebP, 2.5 to 2.7).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

#: Beyond these many pixels a side no provider takes an image (OpenAI's 65,535 is the largest).
SIDE_MAX = 65_535
#: How many segments of a JPEG are looked at before it is given up.
_SEGMENTS_MAX = 4_096
#: Start-of-frame markers: C0 to CF without tables (C4), extensions (C8) and arithmetic (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Orientations that turn an image on its side.
_TURNED = (5, 6, 7, 8)


class Size(NamedTuple):
    """Pixels, as a viewer shows them."""

    width: int
    height: int


def image_size(data: bytes) -> Size | None:
    """The size that an image's header names; None where it is cut off, strange or no such format.

    Never raises, whatever the bytes.
    """
    try:
        size = _read(data)
    except (struct.error, IndexError, ValueError):
        return None
    if size is None or not (0 < size.width <= SIDE_MAX and 0 < size.height <= SIDE_MAX):
        return None
    return size


def _read(data: bytes) -> Size | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return Size(*struct.unpack_from(">II", data, 16))
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Size(*struct.unpack_from("<HH", data, 6))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Size | None:
    """The first frame's size, turned as the Exif orientation says."""
    at, turned = 2, False
    for _ in range(_SEGMENTS_MAX):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = int(struct.unpack_from(">H", data, at + 2)[0])
        if length < 2:
            return None
        if marker == 0xE1:
            turned = _orientation(data[at + 4 : at + 2 + length]) in _TURNED
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Size(height, width) if turned else Size(width, height)
        at += 2 + length
    return None


def _orientation(segment: bytes) -> int:
    """The orientation in an APP1 segment; 1, upright, where there is none to be read."""
    if not segment.startswith(b"Exif\x00\x00"):
        return 1
    tiff = segment[6:]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if (tag, kind) == (0x0112, 3):
                return int(value)
    except struct.error:
        return 1
    return 1


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return Size(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return Size((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if kind == b"VP8X" and len(data) >= 30:
        width = int.from_bytes(data[24:27], "little") + 1
        return Size(width, int.from_bytes(data[27:30], "little") + 1)
    return None
