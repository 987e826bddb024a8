"""What a picture is, told by its content: the kind by its first bytes, the size by its header.

Only headers are read, never pixels: nothing here can be made to unpack a bomb. What a header leaves open is
the viewer's business, who is told the kind, and to believe nothing else (`nosniff`).
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

import msgspec

from bookstore.contracts.books import CoverType

LONGEST_SIDE = 16_384
"""Pixels; beyond that it is no cover."""

_MOST_PARTS = 2000
"""Segments or boxes before the size is known; pictures have some dozens."""


class Data(Protocol):
    """Bytes that need not be in memory: `bytes`, or a mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...


class Picture(msgspec.Struct, frozen=True):
    """The kind of a picture, and its size in pixels."""

    media_type: CoverType
    width: int
    height: int


def recognise(data: Data) -> Picture | None:
    """What `data` is a picture of; None if it is none that can be a cover."""
    for media_type, size_of in _KINDS:
        with suppress(struct.error, _NoPictureError):  # cut short, or not as it should be
            width, height = size_of(data)
            if 0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE:
                return Picture(media_type, width, height)
    return None


class _NoPictureError(Exception):
    """It began like a picture, but is none."""


def _need(condition: object) -> None:
    if not condition:
        raise _NoPictureError


def _read(form: str, data: Data, at: int) -> tuple[int, ...]:
    return struct.unpack(form, data[at : at + struct.calcsize(form)])


def _jpeg(data: Data) -> tuple[int, int]:
    """Segments up to the frame's: FF, kind, length; what stands before it may be as long as it likes."""
    _need(data[:3] == b"\xff\xd8\xff")
    at = 2
    for _ in range(_MOST_PARTS):
        mark, kind, length = _read(">BBH", data, at)
        _need(mark == _MARK)
        if kind == _MARK:  # filling
            at += 1
        elif kind in _JPEG_FRAMES:
            precision, height, width, parts = _read(">BHHB", data, at + 4)
            _need(precision in {8, 12} and parts in {1, 3, 4} and length == 8 + 3 * parts)
            return width, height
        else:
            # The picture's data or its end can't come before the frame; restart marks have no place here.
            _need(kind not in _JPEG_TOO_EARLY and length > 1)
            at += 2 + length
    raise _NoPictureError


_MARK = 0xFF
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_TOO_EARLY = frozenset({0x00, 0x01, *range(0xD0, 0xDB)})


def _png(data: Data) -> tuple[int, int]:
    """The header is the first chunk, and has a checksum."""
    _need(data[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    width, height, depth, colours, packing, filtering, interlacing, checksum = _read(">IIBBBBBI", data, 16)
    _need(checksum == zlib.crc32(data[12:29]))
    _need(depth in _PNG_DEPTHS.get(colours, ()))
    _need(packing == filtering == 0 and interlacing in {0, 1})
    return width, height


_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _webp(data: Data) -> tuple[int, int]:
    """One of three headers: lossy, lossless, extended."""
    (length,) = _read("<I", data, 4)
    _need(data[:4] == b"RIFF" and data[8:12] == b"WEBP" and length + 8 <= len(data))
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = _read("<HBHB", data, 24)
        return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
    if kind == b"VP8L":
        (bits,) = _read("<I", data, 21)
        _need(data[20:21] == b"\x2f" and bits >> 29 == 0)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    _need(kind == b"VP8 ")
    frame, width, height = _read("<B5xHH", data, 20)
    _need(frame & 1 == 0 and data[23:26] == b"\x9d\x01\x2a")
    return width & 0x3FFF, height & 0x3FFF


def _avif(data: Data) -> tuple[int, int]:
    """Boxes in boxes; a picture made of tiles tells their sizes as well, and its own is the largest."""
    start, end = _box(data, 0, min(len(data), _LONGEST_BRANDS), b"ftyp")
    brands = data[start:end]
    _need(data[4:8] == b"ftyp" and b"avif" in {brands[at : at + 4] for at in range(0, len(brands), 4)})
    start, end = _box(data, end, len(data), b"meta")
    start, end = _box(data, start + 4, end, b"iprp")
    start, end = _box(data, start, end, b"ipco")
    sizes = [_read(">II", data, inner + 4) for kind, inner, _ in _boxes(data, start, end) if kind == b"ispe"]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return width, height


_LONGEST_BRANDS = 4096


def _box(data: Data, start: int, end: int, wanted: bytes) -> tuple[int, int]:
    for kind, inner, after in _boxes(data, start, end):
        if kind == wanted:
            return inner, after
    raise _NoPictureError


def _boxes(data: Data, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between `at` and `end`: the kind of each, and from where to where it holds something."""
    for _ in range(_MOST_PARTS):
        if at >= end:
            return
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        inner = at + 8
        if length == 1:
            (length,) = _read(">Q", data, inner)
            inner += 8
        elif length == 0:  # up to the end
            length = end - at
        after = at + length
        _need(inner <= after <= end)
        yield kind, inner, after
        at = after


_KINDS: tuple[tuple[CoverType, Callable[[Data], tuple[int, int]]], ...] = (
    ("image/jpeg", _jpeg),
    ("image/png", _png),
    ("image/webp", _webp),
    ("image/avif", _avif),
)
