"""One transport under httpx and httpx2: retries, deadlines, targets."""

import asyncio

import pytest

from bookstore.resilience import Breaker, Deadline, Hedge, Pipeline, Retry
from bookstore.resilience.balance import Balancer
from bookstore.resilience.http import http_verdict, transient
from bookstore.resilience.httpx import Transport
from bookstore.resilience.outcome import Outcome
from bookstore.resilience.outliers import Outliers


@pytest.fixture(params=["httpx", "httpx2"])
def lib(request):
    return pytest.importorskip(request.param)


class Server:
    """Answers requests from a list, the last one again and again."""

    def __init__(self, lib, clock, *answers):
        self.lib = lib
        self.clock = clock
        self.answers = list(answers)
        self.seen = []
        self.bodies = []
        self.responses = []
        self.closed = False

    async def __call__(self, request):
        self.seen.append(request)
        self.bodies.append(await request.aread())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await self.clock.sleep(answer)
            answer = 200
        if isinstance(answer, Exception):
            raise answer
        self.responses.append(self.lib.Response(answer, text="body"))
        return self.responses[-1]


def client_of(lib, clock, server, *policies, **settings):
    pipeline = Pipeline("books", *policies, clock=clock)
    transport = Transport(pipeline, lib.MockTransport(server), **settings)
    return lib.AsyncClient(transport=transport, base_url="http://books")


async def finish(clock, work, seconds=10.0):
    task = asyncio.ensure_future(work)
    await clock.advance(seconds)
    return task.result()


async def test_a_transient_answer_is_retried_and_closed(lib, clock):
    server = Server(lib, clock, 503, 200)
    async with client_of(lib, clock, server, Retry(result=transient)) as client:
        response = await finish(clock, client.get("/x?a=1", headers={"x-a": "b"}))
    assert (response.status_code, response.text, len(server.seen)) == (200, "body", 2)
    assert server.responses[0].is_closed
    assert str(server.seen[1].url) == "http://books/x?a=1"
    assert server.seen[1].headers["x-a"] == "b"


async def test_only_what_may_be_repeated_is(lib, clock):
    policies = (Hedge(after=5.0), Retry(result=transient))
    server = Server(lib, clock, 503)
    async with client_of(lib, clock, server, *policies) as client:
        assert (await finish(clock, client.post("/x", content=b"a"))).status_code == 503
        assert len(server.seen) == 1
        assert (await finish(clock, client.patch("/x", content=b"a"))).status_code == 503
        assert len(server.seen) == 2
        await finish(clock, client.post("/x", content=b"a", headers={"Idempotency-Key": "7"}))
        assert len(server.seen) == 5


async def test_a_streamed_body_is_whole_in_each_try(lib, clock):
    async def body():
        yield b"one"
        yield b"two"

    server = Server(lib, clock, lib.ConnectError("down"), 200)
    async with client_of(lib, clock, server, Retry()) as client:
        await finish(clock, client.put("/x", content=body()))
    assert server.bodies == [b"onetwo"] * 2


async def test_unrepeated_requests_share_the_state_and_follow_replacements(lib, clock):
    breaker = Breaker(consecutive=2, classify=http_verdict)
    pipeline = Pipeline("books", breaker, clock=clock)
    server = Server(lib, clock, 500)
    transport = Transport(pipeline, lib.MockTransport(server))
    async with lib.AsyncClient(transport=transport, base_url="http://books") as client:
        await client.get("/")
        await client.post("/")
        assert breaker.state == "open"
        pipeline.replace()
        assert (await client.post("/")).status_code == 500


async def test_each_try_carries_what_is_left_of_the_deadline(lib, clock):
    server = Server(lib, clock, 503, 503, 200)
    policies = (Deadline(2.0), Retry(delay=0.5, result=transient))
    async with client_of(lib, clock, server, *policies) as client:
        await finish(clock, client.get("/"))
    assert [request.headers["x-deadline-ms"] for request in server.seen] == ["2000", "1500", "1000"]


async def test_tries_go_to_targets_that_were_not_tried(lib, clock):
    balancer = Balancer(["http://a:8001", "https://b/base/", "http://c"], pick="round_robin", clock=clock)
    server = Server(lib, clock, 503, lib.ConnectError("down"), 200)
    async with client_of(lib, clock, server, Retry(result=transient), balancer=balancer) as client:
        await finish(clock, client.get("/x?a=1"))
    assert {str(request.url) for request in server.seen} == {
        "http://a:8001/x?a=1",
        "https://b/base/x?a=1",
        "http://c/x?a=1",
    }
    assert {request.headers["host"] for request in server.seen} == {"a:8001", "b", "c"}
    assert set(balancer.in_flight.values()) == {0}


async def test_a_hedge_goes_elsewhere_and_the_loser_gives_its_lease_back(lib, clock):
    balancer = Balancer(["http://a", "http://b"], pick="round_robin", clock=clock)
    server = Server(lib, clock, 60.0, 0.01)
    async with client_of(lib, clock, server, Hedge(after=0.1), balancer=balancer) as client:
        assert (await finish(clock, client.get("/"))).status_code == 200
    assert [request.url.host for request in server.seen] == ["a", "b"]
    assert balancer.in_flight == {"http://a": 0, "http://b": 0}
    assert clock.pending == 0


async def test_answers_eject_targets_by_their_status(lib, clock):
    eject = Outliers(consecutive=2)
    balancer = Balancer(["http://a", "http://b"], pick="hash", eject=eject, clock=clock)
    server = Server(lib, clock, 404, 404, 500, 500, 200)
    async with client_of(lib, clock, server, balancer=balancer) as client:
        for _ in range(4):
            assert balancer.ejected == ()
            await client.get("/", extensions={"key": "user:7"})
    assert len(balancer.ejected) == 1


async def test_a_judge_that_fails_keeps_no_lease(lib, clock):
    def judge(_):
        raise KeyError

    balancer = Balancer(["http://a"], clock=clock)
    server = Server(lib, clock, 200)
    async with client_of(lib, clock, server, balancer=balancer, classify=judge) as client:
        with pytest.raises(KeyError):
            await client.get("/")
    assert balancer.in_flight == {"http://a": 0}


async def test_closing_closes_the_inner_transport(lib, clock):
    class Inner(lib.MockTransport):
        closed = 0

        async def aclose(self):
            self.closed += 1

    inner = Inner(Server(lib, clock, 200))
    transport = Transport(Pipeline("books", clock=clock), inner)
    async with transport:
        pass
    await transport.aclose()
    assert inner.closed == 2


class Answer:
    def __init__(self, status):
        self.status_code = status


class StatusError(Exception):
    def __init__(self, status):
        self.response = Answer(status)


@pytest.mark.parametrize(
    ("status", "verdict", "again"),
    [
        (200, "ok", False),
        (404, "ok", False),
        (408, "ok", True),
        (429, "fail", True),
        (500, "fail", True),
        (501, "ok", False),
        (503, "fail", True),
        (None, "ok", False),
    ],
)
def test_what_answers_mean(status, verdict, again):
    assert http_verdict(Outcome(Answer(status))) == verdict
    assert transient(Answer(status)) is again
    if status is not None:
        assert http_verdict(Outcome(error=StatusError(status))) == verdict


def test_errors_without_an_answer_are_failures():
    assert http_verdict(Outcome(error=OSError())) == "fail"
    assert http_verdict(Outcome(error=asyncio.CancelledError())) == "ignore"
