"""A playground as it is served, before a service that does as it is told."""

import asyncio
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from bookstore.playground.app import create_app
from bookstore.playground.settings import PlaygroundSettings
from bookstore.service.testing import serving
from bookstore.service.testing.peer import Peer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAILED = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"


class Outside(Peer):
    """The three paths; a delay has no end."""

    def __init__(self):
        self.asked = []
        super().__init__()

    async def respond(self, request, writer):
        self.asked.append(request.target)
        if request.target.startswith("/delay"):
            await asyncio.Event().wait()
        writer.write(FAILED if request.target.startswith("/status") else OK)
        await writer.drain()


@pytest.fixture
def outside():
    service = Outside()
    yield service
    service.close()


@contextmanager
def played(url, **settings):
    made = PlaygroundSettings(supplier_service_url=url, access_log=False, **settings)
    with (
        serving(lambda: create_app(made)) as own,
        httpx.Client(base_url=own, trust_env=False, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def shared():
    """A playground for those who leave no trace there."""
    service = Outside()
    with played(service.url) as client:
        yield client
    assert service.asked == []
    service.close()


@pytest.fixture
def play(outside):
    """A client of a playground with these settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(played(outside.url, **settings))
