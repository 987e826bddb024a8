"""Request bodies: JSON only, decoded once, straight into the Struct that the handler asks for.

Decoding straight from the text keeps a price such as 19.99 exact; it never passes through a float.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.datastructures import URL
from litestar.exceptions import InternalServerException

from bookstore.contracts.values import decoder
from bookstore.service.problem import Problem, invalid, invalid_field

MAX_DEPTH = 32

_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?$", re.DOTALL)


def client_gone() -> Problem:
    """What becomes of a request whose client leaves amid its body: an answer that nobody reads."""
    return Problem(499, "client-gone", "the client left before the end of its body")


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, but for how it reads a body, and that no header keeps it from being answered."""

    @property
    def url(self) -> URL:
        """What was asked for; without a host, if the client names one that can't be (`x:y`)."""
        try:
            return super().url
        except ValueError:
            scope = self.scope
            return URL.from_components(path=scope["path"], query=scope["query_string"].decode("latin-1"))

    async def stream(self) -> AsyncGenerator[bytes]:
        """The body, piece by piece.

        Raises:
            Problem: 499 if the client leaves before the end of it: that is no failure of this service.
        """
        try:
            async for chunk in super().stream():
                yield chunk
        except InternalServerException as error:
            if not self.is_connected:
                raise
            raise client_gone() from error

    async def json(self) -> Any:
        """Decode the body into the type of the handler's `data`.

        Raises:
            Problem: 415 for another content type; 400 or 422 for what can't be used.
        """
        if media_type(self) != "application/json":
            raise Problem(415, "unsupported-media-type", "send application/json")
        kind = self.route_handler.parsed_data_field
        return decode(await self.body(), kind.annotation if kind else Any, self.scope["path"])


def media_type(request: Request[Any, Any, Any]) -> str:
    """What a request says that its body is, without parameters and in lower case.

    Raises:
        Problem: 415 for a body that is compressed: nobody here unpacks one.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        detail = "send the body as it is, without Content-Encoding"
        raise Problem(415, "unsupported-media-type", detail, headers={"Accept-Encoding": "identity"})
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode(body: bytes, kind: Any, path: str) -> Any:
    """`body` as a `kind`, or a problem that says what is wrong with it."""
    try:
        if _depth_over(body, MAX_DEPTH):
            raise invalid(path, f"the body is nested deeper than {MAX_DEPTH} levels")
        value = _decoder(kind).decode(body)
        plain = _plain(body.decode())
    except msgspec.ValidationError as error:
        found = _WHERE.match(str(error))
        what, where = (found["what"], found["where"]) if found else (str(error), None)
        field = (where or "").lstrip(".") or "body"
        raise invalid_field(path, field, what) from None
    except _DuplicateKeyError as error:
        raise invalid(path, f"the body names {error.args[0]!r} twice") from None
    except (ValueError, RecursionError):
        raise invalid(path, "the body is not valid JSON") from None
    if rb"\u0000" in body and _holds_nul(plain):
        raise invalid(path, "text must not hold the character NUL")
    return value


class _DuplicateKeyError(Exception):
    """A JSON object names the same key twice: readers would differ on which one holds."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(key for key, _ in pairs)
        raise _DuplicateKeyError(next(key for key, count in counted.items() if count > 1))
    return found


_plain = json.JSONDecoder(object_pairs_hook=_unique).decode


def _holds_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            parts = cast("dict[str, Any]", value)
            return any(_holds_nul(part) for part in (*parts, *parts.values()))
        case list():
            return any(_holds_nul(part) for part in cast("list[Any]", value))
        case _:
            return False


_decoder = lru_cache(decoder)


def _depth_over(body: bytes, limit: int) -> bool:
    """Whether lists and objects stand more than `limit` deep in one another.

    Each round takes away the innermost, so the rest is as deep as there are rounds; a body that isn't JSON at
    all is refused in any case. Not a byte is looked at by Python itself, which would hold up everybody else.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    brackets = outside.translate(_SQUARE, delete=_NO_BRACKETS)
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > limit
