"""Request paths: one spelling for each, so that what is matched is what the service gets.

A path that two readers could understand differently is refused: then no route can be reached past its rules.
"""

import re
from urllib.parse import unquote_to_bytes

_PLAIN = re.compile(rb"/|(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_STRAY = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")


class BadPath(Exception):
    """The path can't be used; the message says why, without repeating it."""


def normalised(path: bytes) -> bytes:
    """The path in its one spelling: escapes only where they are needed, in capitals.

    Raises:
        BadPath: for dot segments, empty segments, backslashes, escaped slashes, control characters, bad
            escapes, and what is no UTF-8.
    """
    if _PLAIN.fullmatch(path):
        return path
    if not path.startswith(b"/"):
        raise BadPath("the path must start with a slash")
    if b"\\" in path:
        raise BadPath("the path holds a backslash")
    spelled = _STRAY.sub(lambda match: b"%%%02X" % match[0][0], _ESCAPE.sub(_respell, path))
    try:
        unquote_to_bytes(spelled).decode()
    except UnicodeDecodeError:
        raise BadPath("the path is no UTF-8") from None
    segments = spelled[1:].split(b"/")
    if b"" in segments[:-1]:
        raise BadPath("the path holds an empty segment")
    if b"." in segments or b".." in segments:
        raise BadPath("the path holds a dot segment")
    if any(byte < 0x20 or byte == 0x7F for byte in path):  # noqa: PLR2004
        raise BadPath("the path holds a control character")
    return spelled


def within(path: bytes, prefix: bytes) -> bool:
    """Whether a path begins with this prefix, which ends where a segment ends."""
    return path.startswith(prefix) and (path[len(prefix) : len(prefix) + 1] in (b"", b"/") or prefix == b"/")


def inward(path: bytes, prefix: bytes, mode: str) -> bytes:
    """The path as the service gets it: kept, without the prefix, or with another path in its place."""
    if mode == "keep":
        return path
    rest = path[len(prefix) :] if prefix != b"/" else path
    if mode == "strip":
        return rest or b"/"
    return (mode.encode().rstrip(b"/") + rest) or b"/"


def outward(path: bytes, prefix: bytes, mode: str) -> bytes:
    """A path that the service names, as the client has to ask for it."""
    if mode == "keep" or prefix == b"/":
        return path
    if mode == "strip":
        return prefix + path
    inside = mode.encode()
    target, mark, query = path.partition(b"?")
    return prefix + target[len(inside.rstrip(b"/")) :] + mark + query if within(target, inside) else path


def _respell(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        raise BadPath("the path holds a bad percent escape")
    byte = int(escape[1], 16)
    if byte in b"/\\":
        raise BadPath("the path holds an escaped slash or backslash")
    if byte < 0x20 or byte == 0x7F:  # noqa: PLR2004
        raise BadPath("the path holds a control character")
    return bytes((byte,)) if byte in _UNRESERVED else b"%%%02X" % byte
