"""The files of the page, read once: each as it is and packed, with its tag."""

import gzip
import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from bookstore.service.conditional import etag_of

INDEX: Final = "index.html"
SHEET: Final = "style.css"
"""All styles as one file: nothing is painted before the last of them is there."""

_STYLES: Final = ("tokens", "page", "parts", "map", "trace")
"""In this order: of two rules alike, the later one counts."""

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain",
}
"""What may be served, by how its name ends."""


class Asset(NamedTuple):
    """One file."""

    kind: str
    plain: bytes
    packed: bytes
    """With gzip: most browsers take it so."""
    etag: str
    packed_etag: str


def read_assets() -> dict[str, Asset]:
    """All files of the page, by their path within it."""
    static = importlib.resources.files(__package__ or __name__) / "static"
    files = dict(_files(static, ""))
    files[SHEET] = b"\n".join(files[f"style/{name}.css"] for name in _STYLES)
    return {path: _asset(path, content) for path, content in files.items()}


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        elif f".{each.name.rpartition('.')[2]}" in _TYPES:
            yield prefix + each.name, each.read_bytes()


def _asset(path: str, content: bytes) -> Asset:
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(
        kind=_TYPES[f".{path.rpartition('.')[2]}"],
        plain=content,
        packed=packed,
        etag=etag_of(content),
        packed_etag=etag_of(packed),
    )
