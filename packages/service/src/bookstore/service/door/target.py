"""What a request asks for, as its first line says it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


def split(target: bytes, method: str) -> tuple[bytes, bytes]:
    """The path as it was sent, and the query."""
    if target.startswith(b"/") or target == b"*" or method == "CONNECT":
        path, _, query = target.partition(b"?")
        return path.partition(b"#")[0], query
    parsed: Any = httptools.parse_url(target)  # its types don't tell that there may be none of them
    return parsed.path or b"/", parsed.query or b""


def decoded(path: bytes) -> str:
    """The path as people write it."""
    return unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")


def is_named(hosts: Sequence[bytes], version: str) -> bool:
    """Whether these `Host`s are what a request has to have (RFC 9112, 3.2): one, unless it is an old one."""
    return len(hosts) == 1 and _is_host(hosts[0]) if hosts else version == "1.0"


@lru_cache(1024)
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None
