"""Links lead to the neighbouring pages and keep the search; what is asked for is asked plainly."""

import httpx
import pytest
from litestar import get

from bookstore.service.app import Service
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.settings import Settings


@pytest.mark.parametrize(
    ("total", "limit", "offset", "link"),
    [
        (0, 20, 0, None),
        (20, 20, 0, None),
        (21, 20, 0, '</v2/books?limit=20&offset=20>; rel="next"'),
        (60, 20, 20, '</v2/books?limit=20&offset=40>; rel="next", </v2/books?limit=20&offset=0>; rel="prev"'),
        (60, 20, 40, '</v2/books?limit=20&offset=20>; rel="prev"'),
        (60, 20, 10, '</v2/books?limit=20&offset=30>; rel="next", </v2/books?limit=20&offset=0>; rel="prev"'),
        (5, 20, 100, '</v2/books?limit=20&offset=80>; rel="prev"'),
    ],
)
def test_neighbours(total, limit, offset, link):
    headers = page_headers("/v2/books", [], total=total, limit=limit, offset=offset)
    assert headers["X-Total-Count"] == str(total)
    assert headers.get("Link") == link


def test_the_search_is_kept_and_encoded():
    query = [("q", "a&b=ü"), ("limit", "1"), ("offset", "7")]
    headers = page_headers("/v2/books", query, total=2, limit=1, offset=0)
    assert headers["Link"] == '</v2/books?q=a%26b%3D%C3%BC&limit=1&offset=1>; rel="next"'


@get("/v2/things", before_request=plainly_asked)
async def _things(limit: Limit = 20, offset: Offset = 0) -> list[int]:
    return [limit, offset]


async def _ask(query):
    service = Service("probe", "1", Settings(port=0, access_log=False), handlers=[_things])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.asgi), base_url="http://probe"
    ) as client:
        return await client.get(f"/v2/things?{query}")


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("", [20, 0]),
        ("limit=1&offset=0", [1, 0]),
        ("limit=100&offset=2147483647", [100, 2**31 - 1]),
        ("x=1&x=2", [20, 0]),
    ],
)
async def test_what_is_asked_plainly_is_given(query, given):
    assert (await _ask(query)).json() == given


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "1.5",
        "1.0",
        "1e1",
        "1_0",
        "+1",
        "%201",
        "0x1",
        "%EF%BC%91",
        "true",
        "null",
        "-1",
        "9" * 30,
        "1&{}=1",
    ],
)
async def test_anything_else_is_refused_by_name(name, value):
    answer = await _ask(f"{name}={value.format(name)}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == name
