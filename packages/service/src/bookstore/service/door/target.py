"""What a request asks for, as its first line says it."""

from urllib.parse import unquote

import httptools


def split(target: bytes, method: str) -> tuple[bytes, bytes]:
    """The path as it was sent, and the query."""
    if target.startswith(b"/") or target == b"*" or method == "CONNECT":
        path, _, query = target.partition(b"?")
        return path.partition(b"#")[0], query
    parsed = httptools.parse_url(target)
    return parsed.path or b"/", parsed.query or b""


def decoded(path: bytes) -> str:
    """The path as people write it."""
    return unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")
