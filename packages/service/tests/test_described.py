"""/openapi.json tells what really answers: our types, and problems in place of Litestar's own errors."""

import httpx
import msgspec
import pytest
from litestar import get, put
from litestar.params import JSONBody

from bookstore.contracts.values import Description, Price, Text
from bookstore.service.app import Service
from bookstore.service.identity import PathId
from bookstore.service.pages import Limit
from bookstore.service.settings import Settings


class Change(msgspec.Struct, kw_only=True):
    title: Text
    description: Description | None = None
    price: Price


@put("/v1/books/{book_id:str}")
async def change_v1(book_id: PathId, data: JSONBody[Change]) -> None:
    """Change a book."""


@put("/v2/books/{book_id:str}")
async def change_v2(book_id: PathId, data: JSONBody[Change]) -> None:
    """Change a book."""


@get("/v2/books")
async def list_v2(limit: Limit = 20) -> list[str]:
    return [str(limit)]


@pytest.fixture
async def document():
    handlers = [change_v1, change_v2, list_v2]
    service = Service("probe", "1", Settings(port=0, access_log=False), handlers=handlers)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.asgi), base_url="http://probe"
    ) as client:
        first = (await client.get("/openapi.json")).json()
        assert (await client.get("/openapi.json")).json() == first
        return first


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/v1/books/{book_id}", "put", {"200", "400", "404", "413", "415", "500", "503"}),
        ("/v2/books/{book_id}", "put", {"200", "404", "413", "415", "422", "500", "503"}),
        ("/v2/books", "get", {"200", "422", "500", "503"}),
        ("/health", "get", {"200"}),
    ],
)
async def test_each_failure_is_told_of_as_a_problem(document, path, method, statuses):
    responses = document["paths"][path][method]["responses"]
    assert responses.keys() == statuses
    for status, told in responses.items():
        if status >= "4":
            [(media_type, content)] = told["content"].items()
            assert media_type == "application/problem+json"
            assert content["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
    assert "Retry-After" in responses.get("503", {"headers": ["Retry-After"]})["headers"]


async def test_texts_and_prices_are_described(document):
    properties = document["components"]["schemas"]["Change"]["properties"]
    assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, 500)
    assert properties["description"]["oneOf"][0]["maxLength"] == 10_000
    assert properties["price"]["type"] == ["string", "number"]
    assert properties["price"]["examples"] == ["12.99", 12.99]


async def test_an_identity_is_an_integer_to_the_reader(document):
    [parameter] = document["paths"]["/v1/books/{book_id}"]["put"]["parameters"]
    assert (parameter["schema"]["type"], parameter["schema"]["minimum"]) == ("integer", 1)
