"""The receiving end: who is let in, and what the others are told."""

import asyncio

import pytest
from litestar import Litestar, Request, get
from litestar.testing import AsyncTestClient

from bookstore.resilience import (
    AIMD,
    Adaptive,
    Bulkhead,
    CircuitOpen,
    Deadline,
    DeadlineExceeded,
    Quota,
    RateLimit,
    TimedOut,
    current_deadline,
)
from bookstore.resilience.errors import BulkheadFull
from bookstore.resilience.litestar import ResiliencePlugin, client


@get("/ok")
async def ok() -> str:
    return "fine"


@get("/left")
async def left() -> str:
    running = current_deadline()
    return "none" if running is None else f"{running.remaining():.1f}"


@get("/fail/{kind:str}")
async def fail(request: Request) -> str:
    errors = {
        "circuit": CircuitOpen("stock", 2.1),
        "full": BulkheadFull("stock"),
        "deadline": DeadlineExceeded("deadline"),
        "timeout": TimedOut("timeout", 0.4),
        "bug": KeyError("x"),
    }
    raise errors[request.path_params["kind"]]


def app_of(**settings):
    plugin = ResiliencePlugin(**settings)
    # Litestar's own logging would stay on the root logger for the rest of the run.
    app = Litestar([ok, left, fail], plugins=[plugin], logging_config=None)
    return AsyncTestClient(app, raise_server_exceptions=False)


async def test_nothing_configured_nothing_changed():
    async with app_of() as http:
        response = await http.get("/ok")
        assert (response.status_code, response.text) == (200, "fine")
        assert not any(name.startswith("ratelimit") for name in response.headers)
        assert (await http.get("/left")).text == "none"


async def test_over_the_limit_is_429_with_all_that_a_client_needs(clock):
    limit = RateLimit(Quota(2, per=60.0), clock=clock, name="ip")
    async with app_of(limit=limit) as http:
        first = await http.get("/ok")
        assert first.headers["ratelimit-policy"] == '"ip";q=2;w=60'
        assert first.headers["ratelimit"] == '"ip";r=1;t=30'
        await http.get("/ok")
        refused = await http.get("/ok")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert refused.headers["ratelimit"] == '"ip";r=0;t=60'
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json() == {"status": 429, "title": "Too Many Requests"}
        clock.tick(29.9)
        assert (await http.get("/ok")).headers["retry-after"] == "1"  # never 0
        clock.tick(0.1)
        assert (await http.get("/ok")).status_code == 200


async def test_limits_by_key_and_not_on_excluded_paths(clock):
    def key(scope):
        return dict(scope["headers"])[b"x-user"].decode()

    limit = RateLimit(Quota(1, per=60.0), clock=clock)
    async with app_of(limit=limit, key=key, exclude=frozenset({"/left"})) as http:
        statuses = [(await http.get("/ok", headers={"x-user": user})).status_code for user in ("a", "b", "a")]
        assert statuses == [200, 200, 429]
        assert [(await http.get("/left")).status_code for _ in range(3)] == [200] * 3
        assert (await http.get("/fail/circuit", headers={"x-user": "c"})).headers[
            "ratelimit-policy"
        ] == '"default";q=1;w=60'


def test_who_asks():
    assert client({"client": ("10.0.0.1", 4711)}) == "10.0.0.1"
    assert client({"client": None}) == ""


@pytest.mark.parametrize(
    ("kind", "status", "after"),
    [("circuit", 503, "3"), ("full", 503, "1"), ("deadline", 504, None), ("timeout", 504, None)],
)
async def test_refusals_on_the_way_out(kind, status, after):
    async with app_of() as http:
        response = await http.get(f"/fail/{kind}")
        assert (response.status_code, response.headers.get("retry-after")) == (status, after)
        assert response.json()["status"] == status


async def test_shedding_and_learning():
    shed = Adaptive(AIMD(initial=10, ratio=0.5))
    async with app_of(shed=shed) as http:
        await http.get("/ok")
        assert shed.limit.limit == 10  # one at a time says nothing about ten
        for kind in ("circuit", "deadline"):
            await http.get(f"/fail/{kind}")
        assert shed.limit.limit == 10  # what others refused is not this service's failure
        await http.get("/fail/bug")
        assert shed.limit.limit == 5
        assert shed.in_flight == 0


async def test_too_many_at_once_are_503():
    async with app_of(shed=Bulkhead(0)) as http:
        response = await http.get("/ok")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_the_callers_deadline_counts_when_it_is_shorter():
    async with app_of(deadline=Deadline(30.0)) as http:
        assert (await http.get("/left")).text == "30.0"
        assert (await http.get("/left", headers={"X-Deadline-Ms": "5000"})).text == "5.0"
        assert (await http.get("/left", headers={"X-Deadline-Ms": "90000"})).text == "30.0"
        expired = await http.get("/left", headers={"x-deadline-ms": "0"})
        assert (expired.status_code, "retry-after" in expired.headers) == (504, False)


class Sent(list):
    async def __call__(self, message):
        self.append(message)


def http_scope():
    return {"type": "http", "path": "/x", "headers": [], "client": None}


async def test_time_is_over_under_way(clock):
    async def slow(_scope, _receive, _send):
        await clock.sleep(10)

    shed = Bulkhead(1)
    sent = Sent()
    guarded = ResiliencePlugin(shed=shed, deadline=Deadline(1.0, clock=clock))._around(slow)
    task = asyncio.create_task(guarded(http_scope(), None, sent))
    await clock.advance(1.0)
    assert task.done()
    assert [message.get("status") for message in sent] == [504, None]
    assert shed.in_flight == clock.pending == 0


@pytest.mark.parametrize(
    "error", [DeadlineExceeded("deadline"), BulkheadFull("inner")], ids=["deadline", "full"]
)
async def test_too_late_for_another_answer(error):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    sent = Sent()
    with pytest.raises(type(error)):
        await ResiliencePlugin(shed=Bulkhead(1))._around(app)(http_scope(), None, sent)
    assert len(sent) == 1


async def test_other_protocols_pass():
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    guarded = ResiliencePlugin(shed=Bulkhead(0))._around(app)
    await guarded({"type": "websocket", "path": "/x"}, None, None)
    assert seen == ["websocket"]
