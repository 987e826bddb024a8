"""/openapi.json tells what really answers: our types, and problems in place of Litestar's own errors."""

import re

import httpx
import msgspec
import pytest
from litestar import delete, get, post, put
from litestar.params import JSONBody

from bookstore.contracts.values import Description, Price, Text
from bookstore.service.app import Service
from bookstore.service.docs import problems
from bookstore.service.identity import PathId
from bookstore.service.pages import Limit, Offset, plainly_asked
from bookstore.service.settings import Settings
from bookstore.service.tokens import Access
from bookstore.service.tokens.callers import Together, identified, logged_in, services_only, staff_only


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


class Patch(msgspec.Struct, kw_only=True):
    name: Text | None = None
    note: str | None = None


@put("/v2/shelves/{shelf_id:str}")
async def change_shelf(shelf_id: PathId, data: JSONBody[Patch]) -> None:
    """Change a shelf."""


@get("/v2/books", before_request=Together(identified, plainly_asked))
async def list_v2(limit: Limit = 20, offset: Offset = 0) -> list[str]:
    return [str(limit), str(offset)]


@post("/v2/books", before_request=staff_only)
async def add_v2(data: JSONBody[Change]) -> None:
    """Add a book."""


@delete("/v2/books/{book_id:str}", before_request=logged_in, responses=problems(409))
async def delete_v2(book_id: PathId) -> None:
    """Delete a book."""


@post("/reservations", before_request=services_only)
async def reserve() -> None:
    """Reserve books."""


async def _document(*, required):
    handlers = [change_v1, change_v2, change_shelf, list_v2, add_v2, delete_v2, reserve]
    access = Access(None, required=required)
    service = Service("probe", "1", Settings(port=0, access_log=False), handlers=handlers, access=access)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.asgi), base_url="http://probe"
    ) as client:
        first = (await client.get("/openapi.json")).json()
        assert (await client.get("/openapi.json")).json() == first
        return first


@pytest.fixture
async def document():
    return await _document(required=True)


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/v1/books/{book_id}", "put", {"200", "400", "404", "413", "415", "500", "503"}),
        ("/v2/books/{book_id}", "put", {"200", "404", "413", "415", "422", "500", "503"}),
        ("/v2/books", "get", {"200", "401", "422", "500", "503"}),
        ("/v2/books", "post", {"201", "401", "403", "413", "415", "422", "500", "503"}),
        ("/v2/books/{book_id}", "delete", {"204", "401", "404", "409", "500", "503"}),
        ("/reservations", "post", {"201", "401", "403", "500", "503"}),
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


@pytest.mark.parametrize(
    ("path", "method", "security", "optional"),
    [
        ("/v2/books", "get", "bearer", True),
        ("/v2/books", "post", "bearer", True),
        ("/v2/books/{book_id}", "delete", "bearer", False),
        ("/reservations", "post", "service", True),
        ("/v2/books/{book_id}", "put", None, True),
        ("/health", "get", None, True),
    ],
)
async def test_an_operation_says_who_may_call_it(path, method, security, optional):
    for required in (True, False):
        document = await _document(required=required)
        assert document["components"]["securitySchemes"].keys() == {"bearer", "service"}
        told = document["paths"][path][method].get("security")
        needed = [{security: []}]
        assert told == (None if security is None else needed if required or not optional else [*needed, {}])


async def test_headers_that_lead_on_are_told_of(document):
    paths = document["paths"]
    assert paths["/v2/books"]["post"]["responses"]["201"]["headers"].keys() == {"Location"}
    assert paths["/v2/books"]["get"]["responses"]["200"]["headers"].keys() == {"Link", "X-Total-Count"}
    assert not paths["/v2/books/{book_id}"]["put"]["responses"]["200"]["headers"]


async def test_what_describes_itself_is_left_alone(document):
    ready = document["paths"]["/health/ready"]["get"]["responses"]
    assert {status: list(told["content"]) for status, told in ready.items()} == {
        "200": ["application/json"],
        "503": ["application/json"],
    }
    assert document["paths"]["/whoami"]["get"]["responses"].keys() == {"200"}


async def test_texts_and_prices_are_described(document):
    properties = document["components"]["schemas"]["Change"]["properties"]
    assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, 500)
    assert properties["description"]["oneOf"][0]["maxLength"] == 10_000
    assert properties["price"]["type"] == ["string", "number"]
    assert properties["price"]["examples"] == ["12.99", 12.99]


async def test_a_body_is_described_as_strictly_as_it_is_read(document):
    body = document["paths"]["/v2/books"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert schema["additionalProperties"] is False
    assert "anyOf" not in schema
    title = schema["properties"]["title"]["pattern"]
    for text, fits in (
        ("a", True),
        ("\u6f22", True),
        (" a\n", True),
        (" ", False),
        ("\u200b", False),
        ("a\0", False),
    ):
        assert bool(re.search(title, text)) is fits, ascii(text)


async def test_a_change_of_nothing_is_none(document):
    schema = document["components"]["schemas"]["Patch"]
    assert [each["required"] for each in schema["anyOf"]] == [["name"], ["note"]]
    assert schema["properties"]["note"]["oneOf"][0]["pattern"] == "^[^\\u0000]*$"


async def test_an_identity_is_an_integer_to_the_reader(document):
    [parameter] = document["paths"]["/v1/books/{book_id}"]["put"]["parameters"]
    assert (parameter["schema"]["type"], parameter["schema"]["minimum"]) == ("integer", 1)
