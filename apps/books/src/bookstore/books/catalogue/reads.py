"""Reading the catalogue over HTTP."""

from time import perf_counter
from typing import Any

from litestar import Response, get
from litestar.openapi import ResponseSpec

from bookstore.books.cache import Cache
from bookstore.books.catalogue.asked import Searching, searched
from bookstore.books.catalogue.reading import Reading
from bookstore.contracts.books import BookPage, BookRead, BookV1, CacheContents, CacheKey
from bookstore.service.conditional import is_known
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

REVALIDATE = {"Cache-Control": "no-cache"}
"""Callers may keep what they read, but ask each time whether it is still so: its `ETag` makes that cheap."""

KNOWN = {304: ResponseSpec(None, description="The caller has it already.")}


@get("/v1/books", tags=["v1"], before_request=plainly_asked, responses=KNOWN)
async def list_v1(
    request: Asked, reading: Given[Reading], limit: Limit = 100, offset: Offset = 0
) -> Response[list[BookV1]]:
    """Books on sale, the newest first."""
    entry = await reading.page_v1(limit, offset)
    return _answer(request, entry.etag, entry.body)


@get("/v1/books/{book_id:str}", tags=["v1"], responses=KNOWN)
async def read_v1(request: Asked, book_id: PathId, reading: Given[Reading]) -> Response[BookV1]:
    """One book."""
    entry = await reading.book_v1(identity("book", book_id))
    return _answer(request, entry.etag, entry.body)


@get(
    "/v2/books",
    tags=["v2"],
    before_request=plainly_asked,
    operation_class=Searching,
    responses=KNOWN,
)
async def list_v2(
    request: Asked, reading: Given[Reading], limit: Limit = 20, offset: Offset = 0
) -> Response[BookPage]:
    """A page of books on sale that a search finds, by id from the highest."""
    started = perf_counter()
    entry, from_cache = await reading.page_v2(limit, offset, searched(request))
    query = request.query_params.multi_items()
    headers = page_headers("/v2/books", query, total=entry.total, limit=limit, offset=offset)
    return _answer(request, entry.etag, told(entry.body, started, from_cache=from_cache), headers)


@get("/v2/books/{book_id:str}", tags=["v2"], responses=KNOWN)
async def read_v2(request: Asked, book_id: PathId, reading: Given[Reading]) -> Response[BookRead]:
    """One book, and where the answer came from."""
    started = perf_counter()
    entry, from_cache = await reading.book_v2(identity("book", book_id))
    return _answer(request, entry.etag, told(entry.body, started, from_cache=from_cache))


@get("/v2/cache", tags=["v2"], before_request=ops_only, responses=problems(401, 403))
async def look_inside(cache: Given[Cache]) -> CacheContents:
    """What is kept now, and how often that helped this process."""
    counts = (cache.tally.book, cache.tally.page)
    return CacheContents(
        hits=sum(each.hits for each in counts),
        misses=sum(each.misses for each in counts),
        keys=[CacheKey(**vars(kept)) for kept in await cache.contents()],
    )


def told(body: bytes, started: float, *, from_cache: bool) -> bytes:
    """A JSON object with where it came from and how long that took; the rest of it is not written again."""
    took = (perf_counter() - started) * 1000
    source = b"true" if from_cache else b"false"
    return b'%b,"from_cache":%b,"processing_time_ms":%.3f}' % (body[:-1], source, took)


def _answer(request: Asked, etag: str, body: bytes, headers: dict[str, str] | None = None) -> Response[Any]:
    headers = {"ETag": etag, **REVALIDATE, **(headers or {})}
    if is_known(request.scope["headers"], etag):
        return Response(None, status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


handlers = [list_v1, read_v1, list_v2, read_v2, look_inside]
