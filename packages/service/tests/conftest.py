"""A small service, made of the kit alone, that the tests drive."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import msgspec
import pytest
from litestar import get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from bookstore.service.app import Service
from bookstore.service.health import Dependency
from bookstore.service.pages import Limit
from bookstore.service.problem import Problem
from bookstore.service.settings import Settings


class Thing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    price: Decimal
    parts: list[str] = []


@post("/v1/things")
async def add_v1(data: JSONBody[Thing]) -> Thing:
    return data


@post("/v2/things")
async def add_v2(data: JSONBody[Thing]) -> Thing:
    return data


@get("/v2/things/{thing_id:int}")
async def read(thing_id: FromPath[int], limit: Limit = 5) -> dict[str, int]:
    return {"id": thing_id, "limit": limit}


@get("/broken")
async def broken() -> None:
    raise RuntimeError("secret detail")


@get("/stream")
async def stream() -> Stream:
    return Stream(iter([b"data: 1\n\n"]), media_type="text/event-stream")


@get("/refused")
async def refused() -> None:
    raise Problem(503, "busy", "come back later")


class Switch:
    """A dependency that a test can break."""

    def __init__(self) -> None:
        self.well = True
        self.hangs = False

    async def check(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if not self.well:
            raise ConnectionError("switched off")


@pytest.fixture
def database_switch():
    return Switch()


@pytest.fixture
def books_switch():
    return Switch()


@pytest.fixture
def make_service(database_switch, books_switch):
    def make(**settings):
        return Service(
            "probe",
            "1.2.3",
            Settings(**{"port": 0, "max_body": 2000, **settings}),
            handlers=[add_v1, add_v2, read, broken, stream, refused],
            dependencies=[
                Dependency("database", database_switch.check),
                Dependency("books", books_switch.check, required=False),
            ],
        )

    return make


@asynccontextmanager
async def _running(service):
    """`service.running()` in a task of its own: a fixture's two halves run in different ones."""
    started, done = asyncio.Event(), asyncio.Event()

    async def hold():
        async with service.running():
            started.set()
            await done.wait()

    task = asyncio.create_task(hold())
    await started.wait()
    yield
    done.set()
    await task


@pytest.fixture
def connect():
    @asynccontextmanager
    async def connected(service):
        transport = httpx.ASGITransport(service.asgi, raise_app_exceptions=False)
        async with (
            _running(service),
            httpx.AsyncClient(transport=transport, base_url="http://probe") as client,
        ):
            yield client

    return connected


@pytest.fixture
async def client(make_service, connect):
    async with connect(make_service()) as client:
        yield client
