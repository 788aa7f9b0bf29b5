"""Sizes, pages and seconds, also of hostile files, and what is expected of them."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.image_headers import image_size
from noburn_cli.core.media import AUDIO, IMAGE, PDF, VIDEO, Media
from noburn_cli.core.media_lengths import UNPACKED_MAX, pdf_pages, recording_ms
from noburn_cli.core.media_tokens import media_tokens


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + struct.pack(
        ">HHIHH", 0x112, 3, 1, orientation, 0
    )
    parts = [b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif]
    parts.append(
        b"\xff\xdb\x00\x04\x00\x00\xff\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1)
    )
    return b"\xff\xd8" + b"".join(parts) + b"\x00" * 16


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\x00\x00" * int(8000 * seconds))
    return file.getvalue()


def pdf(pages: int, *, packed: bool = False) -> bytes:
    kids = " ".join(f"{3 + n} 0 R" for n in range(pages))
    objects = [f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>"]
    objects += ["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"] * pages
    if not packed:
        body = "".join(f"{2 + n} 0 obj\n{one}\nendobj\n" for n, one in enumerate(objects))
        return b"%PDF-1.4\n" + body.encode()
    stream = zlib.compress(" ".join(objects).encode())
    return b"%PDF-1.7\n1 0 obj\n<< /Type /ObjStm /N 1 >>\nstream\n" + stream + b"\nendstream"


def flac(seconds: int) -> bytes:
    packed = (44_100 << 44) | (1 << 41) | (15 << 36) | (44_100 * seconds)
    return b"fLaC\x00\x00\x00\x22" + b"\x10\x00" * 2 + b"\x00" * 6 + struct.pack(">Q", packed)


def opus(seconds: int) -> bytes:
    page = b"OggS\x00\x02" + struct.pack("<Q", 0) + b"\x00" * 14 + b"OpusHead"
    return page + b"OggS\x00\x04" + struct.pack("<Q", 48_000 * seconds) + b"\x00" * 14


def mp3(seconds: int) -> bytes:
    """MPEG-1 layer III at 128 kbit/s, with an ID3 tag in front."""
    return b"ID3\x04\x00\x00\x00\x00\x00\x05-----\xff\xfb\x90\x00" + b"\x00" * (
        16_000 * seconds - 4
    )


def mp4(seconds: int) -> bytes:
    return b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x6cmvhd" + struct.pack(
        ">IIIII", 0, 0, 0, 600, 600 * seconds
    )


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + size


WEBP = b"RIFF\x00\x00\x00\x00WEBP"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(640, 480), (640, 480)),
        (jpeg(640, 480), (640, 480)),
        (jpeg(640, 480, 6), (480, 640)),
        (b"GIF89a" + struct.pack("<HH", 12, 34) + b"\x00" * 3, (12, 34)),
        (webp(700, 500), (700, 500)),
        (WEBP + b"VP8L\x00\x00\x00\x00\x2f" + struct.pack("<I", 99 | 49 << 14), (100, 50)),
        (WEBP + b"VP8 " + b"\x00" * 7 + b"\x9d\x01\x2a" + struct.pack("<HH", 33, 44), (33, 44)),
        (png(0, 5), None),
        (png(2**31, 2**31), None),
        (jpeg(640, 480)[:40], None),
        (b"<svg/>", None),
    ],
)  # fmt: skip
def test_image_sizes(data: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(data) == size


@pytest.mark.parametrize(
    ("data", "ms"),
    [
        (wav(2.5), 2500), (flac(7), 7000), (opus(9), 9000), (mp3(3), 3000), (mp4(4), 4000),
        (wav(2.5)[:30], None), (b"OggS", None),
        (b"RIFF\x00\x00\x00\x00WAVE", None), (b"text", None),
    ],
)  # fmt: skip
def test_recordings(data: bytes, ms: int | None) -> None:
    found = recording_ms(data)
    assert found == ms or (ms is not None and found is not None and abs(found - ms) <= 1)


def test_pages() -> None:
    assert [pdf_pages(pdf(3)), pdf_pages(pdf(70, packed=True))] == [3, 70]
    assert pdf_pages(b"%PDF-1.4\n/Type /Page\n/Type/Page ") == 2
    assert pdf_pages(b"no document") is None
    assert pdf_pages(b"%PDF-1.4 << /Type /Pages /Count 999999 >>") is None


def test_a_file_that_unpacks_without_end_is_left_alone() -> None:
    """Goal: 60 kB that would be 64 MB cost no more than the limit, and nothing is believed."""
    bomb = zlib.compress(b"/Type /Page " + b"\x00" * 2 * UNPACKED_MAX)
    head = b"%PDF-1.7\n<< /Type /ObjStm >>\nstream\n"
    assert pdf_pages(head + bomb + b"endstream") == 1


@pytest.mark.parametrize("again", [b"<</Type/Pages ", b"/Type/Pages ", b"/Type/ObjStm "])
def test_a_tree_that_never_ends_is_left_alone(again: bytes) -> None:
    """Goal: millions of starts cost one look each at most: this took minutes."""
    assert pdf_pages(b"%PDF-1.4" + again * 500_000) is None
    assert pdf_pages(b"%PDF-1.4 << /Type /Pages /Count 3 >> " + again * 50_000) == 3


FILES = [
    png(9, 9),
    jpeg(9, 9, 8),
    webp(9, 9),
    wav(0.01),
    flac(1),
    opus(1),
    mp3(1)[:90],
    mp4(1),
    pdf(2),
    pdf(2, packed=True),
]


@given(st.sampled_from(FILES), st.data())
def test_nothing_that_a_file_holds_breaks_a_reader(whole: bytes, data: st.DataObject) -> None:
    """Goal: cut off, overwritten, or both: a size within limits, or none; never an exception."""
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    at = data.draw(st.integers(0, len(cut)))
    hostile = cut[:at] + data.draw(st.binary(max_size=12)) + cut[at:]
    size = image_size(hostile)
    assert size is None or 0 < min(size) <= max(size) <= 65_535
    assert (recording_ms(hostile) or 1) > 0
    assert (pdf_pages(hostile) or 1) > 0


def of(kind: str, data: bytes, detail: str = "") -> Media:
    return Media(kind, base64.b64encode(data).decode(), detail)


def test_what_is_expected_by_provider() -> None:
    image, paper, sound = of(IMAGE, png(1000, 1000)), of(PDF, pdf(4)), of(AUDIO, wav(2.5))

    def expected(media: Media, tokenizer: str, model: str) -> tuple[int, int, bool] | None:
        found = media_tokens([media], tokenizer=tokenizer, model=model)
        return None if found is None else (found.low, found.high, found.sure)

    assert expected(image, "claude", "claude-opus-5-5") == (1296, 1300, True)
    assert expected(image, "claude", "bedrock/claude-sonnet-4-5") == (1296, 1300, True)
    assert expected(image, "o200k_base", "azure/gpt-4o") == (765, 765, True)
    assert expected(image, "o200k_base", "gpt-6-luna") == (1229, 1229, False)
    assert expected(image, "gemini", "gemini-4-argon") == (1120, 1120, False)
    low = of(IMAGE, png(1000, 1000), "MEDIA_RESOLUTION_LOW")
    assert expected(low, "gemini", "gemini-3.8-flash") == (280, 280, False)
    assert expected(paper, "claude", "claude-opus-5-5") == (6000, 12_800, False)
    assert expected(paper, "gemini", "gemini-4-argon") == (2240, 2244, False)
    assert expected(paper, "gemini", "gemini-2.5-pro") == (1032, 1036, False)
    pages = expected(paper, "o200k_base", "gpt-4o")
    assert pages is not None
    assert 4 * 85 <= pages[0] < 4 * 765 < pages[1]
    assert expected(sound, "gemini", "gemini-2.5-pro") == (96, 96, False)
    assert expected(sound, "claude", "claude-opus-5-5") is None
    assert expected(image, "unknown", "cohere/command-a") is None
    film = media_tokens([of(VIDEO, mp4(10))], tokenizer="gemini", model="gemini-4-argon")
    assert film is not None
    assert (film.low, film.audio) == (700, (0, 320))
    assert expected(image, "o200k_base", "azure/eu/gpt-5.4") == (1229, 1229, True)
    assert expected(sound, "o200k_base", "gpt-audio") == (25, 25, False)
    assert expected(image, "o200k_base", "gpt-audio") is None
    spoken = media_tokens([sound, image], tokenizer="o200k_base", model="gpt-4o")
    assert spoken is not None
    assert (spoken.low, spoken.audio) == (25 + 765, (25, 25))


def test_a_file_that_is_elsewhere_has_a_range_or_nothing() -> None:
    image, paper = Media(IMAGE), Media(PDF)
    for tokenizer, model in (("claude", "claude-opus-5-5"), ("o200k_base", "gpt-5.5")):
        found = media_tokens([image], tokenizer=tokenizer, model=model)
        assert found is not None
        assert found.low < found.high
        assert media_tokens([image, paper], tokenizer=tokenizer, model=model) is None
    for broken in ("data:image/png;base64,%%%", "A", "é"):
        assert Media(IMAGE, broken).content() == b""
