"""Covers over HTTP: the picture itself is the body."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from litestar import Response, delete, get, put
from litestar.openapi import ResponseSpec
from litestar.response import Stream

from bookstore.books.covers.described import CoverUpload, picture
from bookstore.books.covers.gallery import Gallery
from bookstore.books.covers.model import (
    LARGEST,
    Check,
    Cover,
    CoversUnavailable,
    Gone,
    NoPicture,
    NoSuchBook,
)
from bookstore.contracts import books as wire
from bookstore.service.conditional import is_conditional, is_known, require_match
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.problem import Asked, Problem, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import staff_only

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for a body to come in."""

_PATH = "/v2/books/{book_id:str}/cover"


@put(
    _PATH,
    tags=["covers"],
    before_request=staff_only,
    request_max_body_size=LARGEST,
    operation_class=CoverUpload,
    responses={201: ResponseSpec(wire.Cover, description="The first cover of the book")} | problems(408, 412),
)
async def put_cover(request: Asked, book_id: PathId, gallery: Given[Gallery]) -> Response[wire.Cover]:
    """Give a book a cover in place of any other: a JPEG, PNG, WebP or AVIF, which is told by its content."""
    number = identity("book", book_id)
    with _told_as_problems(number):
        try:
            async with asyncio.timeout(PATIENCE):
                cover, new = await gallery.put(number, request.stream(), _check(request))
        except TimeoutError:
            raise Problem(408, "request-timeout", f"the body did not come within {PATIENCE:g} s") from None
    told = wire.Cover(
        book_id=number,
        media_type=cover.media_type,
        width=cover.width,
        height=cover.height,
        size_bytes=cover.size,
    )
    headers = {"ETag": cover.etag} | ({"Location": f"/v2/books/{number}/cover"} if new else {})
    return Response(told, status_code=201 if new else 200, headers=headers)


@get(_PATH, tags=["covers"], responses=picture())
async def read_cover(request: Asked, book_id: PathId, gallery: Given[Gallery]) -> Response[bytes] | Stream:
    """The cover of a book."""
    number = identity("book", book_id)
    with _told_as_problems(number):
        headers = request.scope["headers"]
        found = await gallery.find(number) if is_conditional(headers) else None
        if found and is_known(headers, found.etag):
            return Response(b"", status_code=304, headers=_headers(found))
        cover, content = await gallery.read(number)
    headers = _headers(cover) | {"Content-Length": str(cover.size)}
    return Stream(content, media_type=cover.media_type, headers=headers)


@delete(_PATH, status_code=204, tags=["covers"], before_request=staff_only, responses=problems(412))
async def delete_cover(request: Asked, book_id: PathId, gallery: Given[Gallery]) -> None:
    """Take a book's cover away."""
    number = identity("book", book_id)
    if not await gallery.delete(number, _check(request)):
        _no_cover(number)


def _check(request: Asked) -> Check | None:
    """What `If-Match` and `If-None-Match` ask of the cover that is there before it may be changed."""
    headers = request.scope["headers"]
    if not is_conditional(headers):
        return None
    return lambda cover: require_match(headers, cover.etag if cover else None)


@contextmanager
def _told_as_problems(book_id: int) -> Generator[None]:
    try:
        yield
    except NoSuchBook:
        raise not_found("book", book_id) from None
    except Gone:
        _no_cover(book_id)
    except NoPicture:
        detail = "a cover is a JPEG, PNG, WebP or AVIF picture of at most 16384 pixels a side"
        raise Problem(415, "unsupported-media-type", detail) from None
    except CoversUnavailable as error:
        logger.warning("covers are not to be had", extra={"cause": str(error)})
        raise Problem(503, "covers-unavailable", "covers can't be kept or had at the moment") from error


def _headers(cover: Cover) -> dict[str, str]:
    """What a browser is told of a picture that came from elsewhere: show it as what it is, run nothing."""
    return {
        "ETag": cover.etag,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def _no_cover(book_id: int) -> NoReturn:
    raise Problem(404, "not-found", f"book {book_id} has no cover")


handlers = [put_cover, read_cover, delete_cover]
