"""The way past the router: whoever asks can't tell it from the router's."""

import json
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import msgspec
import pytest
from litestar import Response, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from psycopg.errors import UndefinedTable

from bookstore.service.app import Service
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.settings import Settings

JSON = {"Content-Type": "application/json"}


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int = 1


class Shop:
    name = "corner shop"


ERRORS = {
    "problem": Problem(409, "sold-out", "there is none left", headers={"X-Left": "0"}),
    "busy": Problem(503, "busy", "come back later"),
    "http": NotAuthorizedException(),
    "schema": UndefinedTable("no such table"),
    "surprise": RuntimeError("a secret"),
}


Note = Annotated[str | None, HeaderParameter(name="X-Note")]


async def _let_in(request: Asked) -> None:
    if "x-banned" in request.headers:
        raise Problem(403, "forbidden", "not you")
    request.state["guest"] = request.headers.get("x-guest", "nobody")


@post("/v1/wishes", before_request=_let_in)
async def wish(
    request: Asked, data: JSONBody[Wish], shop: Given[Shop], _note: Note = None
) -> Response[bytes]:
    if data.name in ERRORS:
        raise ERRORS[data.name]
    told = {"name": data.name, "guest": request.state["guest"], "shop": shop.name}
    headers = {"Location": f"/v1/wishes/{data.count}"}
    return Response(json.dumps(told).encode(), headers=headers, media_type="application/json")


@post("/v2/wishes", status_code=200, before_request=_let_in)
async def shape(data: JSONBody[Wish]) -> Wish:
    return data


@get("/v1/wishes/{number:int}")
async def read(number: FromPath[int]) -> Wish:
    return Wish("a", number)


def _made(*shortcuts, handlers=(wish, shape, read)):
    return Service(
        "probe",
        "1.2.3",
        Settings(port=0, max_body=2000),
        handlers=handlers,
        provide={"shop": Shop()},
        shortcuts=shortcuts,
    )


@asynccontextmanager
async def _open(service):
    transport = httpx.ASGITransport(service.asgi, raise_app_exceptions=False)
    async with service.running(), httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        yield client


async def _told(client, path, body, headers):
    """All that one is told, but for ids."""
    answer = await client.post(path, content=body, headers=headers)
    told = answer.json() if answer.content else None
    if isinstance(told, dict):
        told = {name: value for name, value in told.items() if not name.endswith("_id")}
    named = {name: value for name, value in sorted(answer.headers.items()) if not name.endswith("-id")}
    return answer.status_code, named, told


def _counted(service):
    lines = service.metrics.exposition("")[0].decode().splitlines()
    return [line for line in lines if line.startswith("http_requests_total") and not line.endswith(" 0.0")]


async def _pieces(body):
    yield body[:3]
    yield body[3:]


GOOD = b'{"name": "a", "count": 7}'
ASKED = {
    "good": (GOOD, JSON),
    "guest": (GOOD, JSON | {"X-Guest": "me"}),
    "refused before its body is read": (b"{", JSON | {"X-Banned": "yes"}),
    "query": (GOOD, JSON, "?count=3"),
    "slash": (GOOD, JSON, "/"),
    "charset": (GOOD, {"Content-Type": "application/json; charset=utf-8"}),
    "another type": (GOOD, {"Content-Type": "text/plain"}),
    "no type": (GOOD, {}),
    "compressed": (GOOD, JSON | {"Content-Encoding": "gzip"}),
    "no body": (b"", JSON),
    "chunks": (GOOD, JSON),
    "no JSON": (b"{", JSON),
    "twice": (b'{"name": "a", "name": "b"}', JSON),
    "unknown field": (b'{"name": "a", "colour": 1}', JSON),
    "wrong type": (b'{"name": 7}', JSON),
    "too long": (b'{"name": "%b"}' % (b"a" * 2000), JSON),
    "host": (GOOD, JSON | {"Host": "pro be"}),
    **{name: (json.dumps({"name": name}).encode(), JSON) for name in ERRORS},
}


@pytest.mark.parametrize("path", ["/v1/wishes", "/v2/wishes"])
async def test_nobody_can_tell_the_two_ways_apart(path):
    by_router, past_it = _made(), _made(wish, shape)
    async with _open(by_router) as one, _open(past_it) as other:
        for name, (body, headers, *rest) in ASKED.items():
            target = path + "".join(rest)
            told = [
                await _told(client, target, _pieces(body) if name == "chunks" else body, headers)
                for client in (one, other)
            ]
            assert told[0] == told[1], name
    assert _counted(past_it) == _counted(by_router)


async def test_it_is_gone_for_what_is_usual_and_only_for_that(monkeypatch):
    service = _made(wish)
    met = []

    async def router(_self, scope, *_):
        met.append(scope["path"])
        raise RuntimeError

    async with _open(service) as client:
        monkeypatch.setattr(type(service.router), "__call__", router)
        statuses = [
            (await client.post(path, content=GOOD, headers=JSON)).status_code
            for path in ("/v1/wishes", "/v1/wishes?x=1", "/v2/wishes")
        ]
    assert statuses == [201, 500, 500]
    assert met == ["/v1/wishes", "/v2/wishes"]


async def test_a_body_may_come_in_pieces_and_its_sender_may_leave():
    service = _made(wish)
    sent = []

    async def send(message):
        sent.append(message)

    async def ask(*messages):
        sent.clear()
        coming = iter(messages)
        scope = {
            "type": "http", "method": "POST", "path": "/v1/wishes", "query_string": b"",
            "http_version": "1.1",
            "scheme": "http", "server": ("probe", 80), "root_path": "",
            "headers": [
                (b"host", b"probe"), (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(GOOD)),
            ],
        }  # fmt: skip

        async def receive():
            return next(coming)

        await service.asgi(scope, receive, send)
        return sent[0]["status"]

    def piece(body, *, more):
        return {"type": "http.request", "body": body, "more_body": more}

    async with service.running():
        assert await ask(piece(GOOD[:5], more=True), piece(GOOD[5:], more=False)) == 201
        assert await ask(piece(GOOD[:5], more=True), {"type": "http.disconnect"}) == 499


@post("/v1/plain")
async def without_a_body() -> None: ...


@post("/v1/things/{number:int}")
async def with_a_parameter(number: FromPath[int], data: JSONBody[Wish]) -> None: ...


@post("/v1/asks")
async def with_a_query(limit: FromQuery[int], data: JSONBody[Wish]) -> None: ...


@pytest.mark.parametrize("handler", [without_a_body, with_a_parameter, with_a_query])
def test_a_handler_that_needs_the_router_is_found_out_at_the_start(handler):
    with pytest.raises(TypeError):
        _made(handler, handlers=[handler])
