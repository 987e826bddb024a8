"""One book of /v2 from the cache, answered in front of the router: what is read most costs least.

What isn't in the cache, or is asked for in any other way, is left to the router, whose answers are the same.
"""

import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from bookstore.books.cache import Cache, book_place
from bookstore.books.catalogue.answers import REVALIDATE, told
from bookstore.service.conditional import is_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

_BOOK = re.compile(r"/v2/books/([1-9][0-9]{0,18})/?")
_TEMPLATE = "/v2/books/{book_id}"
_REVALIDATE = [(name.lower().encode(), value.encode()) for name, value in REVALIDATE.items()]
_JSON = (b"content-type", b"application/json")


def front_of(cache: Cache) -> "Callable[[ASGIApp], ASGIApp]":
    """Wraps the router; see the module."""

    def wrap(router: "ASGIApp") -> "ASGIApp":
        async def serve(scope: "Scope", receive: "Receive", send: "Send") -> None:
            started = perf_counter()
            asked = (
                scope["type"] == "http"
                and scope["method"] in {"GET", "HEAD"}
                and _BOOK.fullmatch(scope["path"])
            )
            entry = await cache.hit(book_place(int(asked[1]))) if asked else None
            if entry is None:
                await router(scope, receive, send)
                return
            cast("dict[str, Any]", scope)["path_template"] = _TEMPLATE
            etag = (b"etag", entry.etag.encode())
            if is_known(scope["headers"], entry.etag):
                await send({"type": "http.response.start", "status": 304, "headers": [etag, *_REVALIDATE]})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            body = told(entry.body, started, from_cache=True)
            length = (b"content-length", str(len(body)).encode())
            await send(
                {"type": "http.response.start", "status": 200, "headers": [_JSON, etag, *_REVALIDATE, length]}
            )
            await send({"type": "http.response.body", "body": body, "more_body": False})

        return serve

    return wrap
