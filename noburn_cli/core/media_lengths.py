"""How long a document or a recording is, from its own structure: pages and seconds.

Layer: core (pure: bytes in, numbers out).  Below: nothing.  Above: core.media_tokens.
What a file says of itself may be wrong, so no bound rests on it, only what `estimate` expects;
nothing here unpacks more than UNPACKED_MAX, however much a file claims to hold.

Sources, checked 2026-11-27: ISO 32000-1 (7.5.7 object streams, 7.7.3 page tree), Microsoft's
RIFF/WAVE description, RFC 9639 (FLAC, 8.2), RFC 3533 (Ogg, 6), ISO 11172-3 (2.4.2.3) with Xing's
header for MP3, ISO 14496-12 (8.2.2, `mvhd`).
"""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Iterator

#: What may come out of all compressed streams of one document together.
UNPACKED_MAX = 32 * 1024 * 1024
#: How many of them are looked at, and how long one may be while it is packed.
_STREAMS_MAX = 500
_STREAM_BYTES_MAX = 4 * 1024 * 1024
#: Providers take 1,000 pages at most; a file that claims more is not believed.
PAGES_MAX = 100_000
#: The same for seconds: a day and more.
MS_MAX = 100_000_000

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_ROOT_COUNT = re.compile(rb"/Count\s+(\d{1,6})\b")
_PAGES = re.compile(rb"/Type\s*/Pages\b")
_STREAM = re.compile(rb"/Type\s*/ObjStm\b")
_STREAM_STARTS = re.compile(rb"stream\r?\n")
#: How many nodes of page trees are looked at, and how far from a node's type its count may stand.
_NODES_MAX = 5_000
_NODE_BYTES_MAX = 4_096
#: How far behind its type a stream may start.
_HEAD_BYTES_MAX = 512

_MP3_RATES = (44_100, 48_000, 32_000)
_MP3_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}


def pdf_pages(data: bytes) -> int | None:
    """How many pages a PDF has; None where it is none, or does not say it in the open.

    The page tree's own count decides, the pages that are found where there is none.
    """
    if b"%PDF-" not in data[:1024]:
        return None
    parts = [data, *_object_streams(data)]
    counts = [
        int(number)
        for part in parts
        for node in _page_nodes(part)
        for number in _ROOT_COUNT.findall(node)
    ]
    found = max(counts, default=0) or sum(len(_PAGE.findall(part)) for part in parts)
    return found if 0 < found <= PAGES_MAX else None


def _page_nodes(data: bytes) -> Iterator[bytes]:
    """Each node of a page tree, from the start of its dictionary to the first end behind its type.

    By plain searches of a limited reach: a pattern would try every start anew.
    """
    for found in itertools.islice(_PAGES.finditer(data), _NODES_MAX):
        start = data.rfind(b"<<", max(0, found.start() - _NODE_BYTES_MAX), found.start())
        end = data.find(b">>", found.end(), found.end() + _NODE_BYTES_MAX)
        if start >= 0 <= end and data.find(b"endobj", start, found.start()) < 0:
            yield data[start:end]


def _object_streams(data: bytes) -> Iterator[bytes]:
    """What is packed in a PDF's object streams, up to UNPACKED_MAX."""
    left, view = UNPACKED_MAX, memoryview(data)
    for match in itertools.islice(_STREAM.finditer(data), _STREAMS_MAX):
        head = _STREAM_STARTS.search(data, match.end(), match.end() + _HEAD_BYTES_MAX)
        if left <= 0 or head is None:
            continue
        end = data.find(b"endstream", head.end(), head.end() + _STREAM_BYTES_MAX)
        if end < 0:
            continue
        try:
            plain = zlib.decompressobj().decompress(view[head.end() : end], left)
        except zlib.error:
            continue
        left -= len(plain)
        yield plain


def recording_ms(data: bytes) -> int | None:
    """Milliseconds of a WAV, FLAC, Ogg, MP3 or MP4 file; None where that cannot be told.

    Never raises, whatever the bytes.
    """
    try:
        length = _recording(data)
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return None
    return length if length is not None and 0 < length <= MS_MAX else None


def _recording(data: bytes) -> int | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data)
    if data[:4] == b"fLaC":
        (packed,) = struct.unpack_from(">Q", data, 18)
        return int((packed & 0xFFFFFFFFF) * 1000 // (packed >> 44))
    if data[:4] == b"OggS":
        return _ogg(data)
    if data[4:8] == b"ftyp":
        return _mp4(data)
    return _mp3(data)


def _wav(data: bytes) -> int | None:
    """The data chunk's own length, but never more than there is, by the format's bytes a second."""
    at, rate = 12, 0
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"fmt ":
            (rate,) = struct.unpack_from("<I", data, at + 16)
        if name == b"data":
            return int(min(length, len(data) - at - 8) * 1000 // rate)
        at += 8 + length + length % 2
    return None


def _ogg(data: bytes) -> int | None:
    """The last page's position by the first page's rate: Vorbis's own, 48 kHz for Opus."""
    last = data.rfind(b"OggS")
    (position,) = struct.unpack_from("<Q", data, last + 6)
    head = data[:256]
    if b"OpusHead" in head:
        return int(position * 1000 // 48_000)
    vorbis = head.find(b"\x01vorbis")
    if vorbis < 0:
        return None
    (rate,) = struct.unpack_from("<I", data, vorbis + 12)
    return int(position * 1000 // rate)


def _mp4(data: bytes) -> int | None:
    """The movie header's duration, wherever it stands."""
    at = data.find(b"mvhd")
    if at < 0:
        return None
    if data[at + 4] == 1:
        scale, duration = struct.unpack_from(">IQ", data, at + 24)
    else:
        scale, duration = struct.unpack_from(">II", data, at + 16)
    return int(duration * 1000 // scale)


def _mp3(data: bytes) -> int | None:
    """By the count of frames in Xing's header, else by the first frame's bit rate."""
    at = 0
    if data[:3] == b"ID3":
        size = data[6:10]
        at = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    head = data[at : at + 4]
    # An MPEG-1 or MPEG-2 frame of layer III.
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xF6 not in (0xF2,):
        return None
    version = 1 if head[1] & 0x08 else 2
    kbits = _MP3_KBITS[version][head[2] >> 4]
    rate = _MP3_RATES[head[2] >> 2 & 3] // version
    for name in (b"Xing", b"Info"):
        tag = data.find(name, at, at + 64)
        if tag >= 0 and data[tag + 7] & 1:
            (frames,) = struct.unpack_from(">I", data, tag + 8)
            return int(frames * (1152 // version) * 1000 // rate)
    return (len(data) - at) * 8 // kbits
