"""Pictures are told by their content: real ones of every kind, and all that only looks like one."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookstore.books.covers.picture import LONGEST_SIDE, Picture, recognise

PICTURES = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "pictures").iterdir())}
KINDS = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
"""All of them are 7 by 5 pixels, written by Pillow."""


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_tells_its_kind_and_size(name):
    assert recognise(PICTURES[name]) == Picture(KINDS[name.rpartition(".")[2]], 7, 5)
    # What follows is no part of it, as many programs leave something there.
    assert recognise(PICTURES[name] + b"<script>") == recognise(PICTURES[name])


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_is_cut_short_in_its_header_is_none(name):
    told = [recognise(PICTURES[name][:length]) for length in range(len(PICTURES[name]))]
    whole = next((at for at, picture in enumerate(told) if picture), len(told))
    assert whole > 24
    assert set(told[whole:]) <= {recognise(PICTURES[name])}


@pytest.mark.parametrize("name", PICTURES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_picture_that_is_damaged_anywhere_is_recognised_or_not_but_never_an_error(name, data):
    content = bytearray(PICTURES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = recognise(bytes(content))
    assert found is None or (0 < found.width <= LONGEST_SIDE and 0 < found.height <= LONGEST_SIDE)


@given(st.sampled_from([content[:12] for content in PICTURES.values()]), st.binary(max_size=300))
def test_a_beginning_alone_makes_no_picture_and_no_error(start, rest):
    recognise(start + rest)


def _png(width, height, **other):
    fields = {"depth": 8, "colours": 2, "packing": 0, "filtering": 0, "interlacing": 0, **other}
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, *fields.values())
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + header + struct.pack(">I", zlib.crc32(header))


def _jpeg(*segments, width=7, height=5):
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + b"".join(segments) + frame


def _segment(kind, content):
    return bytes([0xFF, kind]) + struct.pack(">H", len(content) + 2) + content


def test_a_jpeg_may_carry_a_lot_before_its_frame():
    profile = [_segment(0xE2, bytes(65_533)) for _ in range(150)]
    assert recognise(_jpeg(*profile)) == Picture("image/jpeg", 7, 5)
    assert recognise(_jpeg(b"\xff" * 7 + _segment(0xE1, b"Exif"))) == Picture("image/jpeg", 7, 5)
    # Its own preview, a whole JPEG inside, is not mistaken for it.
    assert recognise(_jpeg(_segment(0xE1, _jpeg(width=1, height=1)))) == Picture("image/jpeg", 7, 5)


NONE = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"Lorem ipsum",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>',
    "GIF": b"GIF89a\x07\x00\x05\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff;",
    "BMP": b"BM" + bytes(60),
    "PDF": b"%PDF-1.7\n",
    "ZIP": b"PK\x03\x04" + bytes(60),
    "HTML with a picture behind": b"<html>" + PICTURES["baseline.jpg"],
    "HEIC": PICTURES["plain.avif"].replace(b"avif", b"heic").replace(b"avis", b"hevc"),
    "AVIF whose kind comes late": bytes([0, 0, 0, 8]) + b"free" + PICTURES["plain.avif"],
    "AVIF without a size": PICTURES["plain.avif"].replace(b"ispe", b"isp_"),
    "MP4": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(50),
    "WAV": PICTURES["lossy.webp"].replace(b"WEBP", b"WAVE"),
    "WebP that is not all there": PICTURES["lossy.webp"][:-1],
    "WebP in mid-film": PICTURES["lossy.webp"].replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"),
    "PNG without width": _png(0, 5),
    "PNG without height": _png(7, 0),
    "PNG too wide": _png(LONGEST_SIDE + 1, 5),
    "PNG of another planet": _png(2**32 - 1, 2**32 - 1),
    "PNG with a bad depth": _png(7, 5, depth=3),
    "PNG with bad colours": _png(7, 5, colours=5),
    "PNG with another packing": _png(7, 5, packing=1),
    "PNG with a wrong checksum": PICTURES["colours.png"].replace(b"\x00\x00\x00\x07", b"\x00\x00\x00\x08"),
    "JPEG without width": _jpeg(width=0),
    "JPEG without height": _jpeg(height=0),
    "JPEG too high": _jpeg(height=LONGEST_SIDE + 1),
    "JPEG of nothing but segments": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 1_000_000,
    "JPEG whose data comes first": _jpeg(_segment(0xDA, bytes(10))),
    "JPEG with an empty length": _jpeg(b"\xff\xe0\x00\x00"),
    "AVIF of nothing but boxes": PICTURES["plain.avif"][:32] + b"\x00\x00\x00\x08free" * 1_000_000,
    "AVIF whose boxes go round": PICTURES["plain.avif"][:32] + b"\x00\x00\x00\x00meta" * 2,
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_picture(what):
    assert recognise(NONE[what]) is None


@pytest.mark.parametrize("side", [1, LONGEST_SIDE])
def test_the_least_and_the_most_that_a_side_may_have(side):
    assert recognise(_png(side, side)) == Picture("image/png", side, side)
    assert recognise(_jpeg(width=side, height=side)) == Picture("image/jpeg", side, side)
