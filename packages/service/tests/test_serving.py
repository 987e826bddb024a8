"""The service that tests of services start in a thread: it ends, or says what keeps it."""

import asyncio
import sys
import threading
from contextlib import asynccontextmanager

import httpx
import pytest

from bookstore.service.app import Service
from bookstore.service.settings import Settings
from bookstore.service.testing import serving
from bookstore.service.testing.serving import free_port

MODULE = sys.modules["bookstore.service.testing.serving"]  # the package has a function of that name


@pytest.fixture
def threads():
    """Those that a test has begun and not ended; services of other files may last as long as the run."""

    def running():
        return {thread for thread in threading.enumerate() if thread.name.startswith("service on ")}

    before = running()
    return lambda: running() - before


@pytest.fixture
def released(threads):
    """Lets go what a test has left behind."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threads():
        thread.join()


def service(lifespan):
    return Service("probe", "1.2.3", Settings(port=0), lifespan=[lifespan])


async def stubborn(released):
    """What nothing but its own end can end."""
    while not released.is_set():
        try:
            await asyncio.to_thread(released.wait)
        except asyncio.CancelledError:
            continue


def test_a_task_that_will_not_end_is_named(monkeypatch, released):
    monkeypatch.setattr(MODULE, "_LEAVE", 0.2)

    @asynccontextmanager
    async def lifespan():
        task = asyncio.create_task(stubborn(released), name="a stubborn one")
        yield
        task.cancel()
        await task

    with pytest.raises(TimeoutError) as caught, serving(lambda: service(lifespan)) as url:
        assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200
    assert "the service on" in str(caught.value)
    assert "a stubborn one, stubborn, at:" in str(caught.value)
    assert "await asyncio.to_thread(released.wait)" in str(caught.value)


def test_code_that_blocks_the_loop_is_named_and_hides_nobodys_failure(monkeypatch, released):
    monkeypatch.setattr(MODULE, "_LEAVE", 0.2)

    @asynccontextmanager
    async def lifespan():
        yield
        released.wait()

    with pytest.raises(TimeoutError) as caught, serving(lambda: service(lifespan)):
        raise ValueError("the test's own failure")
    assert "released.wait()" in str(caught.value).partition("the thread, at:")[2]
    assert isinstance(caught.value.__context__, ValueError)


def test_a_service_that_never_begins_is_given_up_and_ends(monkeypatch, threads):
    begun = threading.Event()
    monkeypatch.setattr(MODULE, "_PATIENCE", 0.0)
    monkeypatch.setattr(MODULE, "_listens", lambda _: begun.wait() and False)

    @asynccontextmanager
    async def lifespan():
        begun.set()
        await asyncio.Event().wait()
        yield

    with pytest.raises(TimeoutError, match=r"doesn't listen on \d+; what still runs:\n.*_serve, at:"):
        serving(lambda: service(lifespan)).__enter__()
    assert threads() == set()


@pytest.mark.parametrize("when", ["at the beginning", "at the end"])
def test_what_ends_it_is_raised(when, threads):
    @asynccontextmanager
    async def lifespan():
        if when == "at the beginning":
            raise LookupError(when)
        yield
        raise LookupError(when)

    with pytest.raises(LookupError, match=when), serving(lambda: service(lifespan)):
        pass
    assert threads() == set()


def test_a_free_port_is_one():
    assert 1024 <= free_port() <= 65535
