"""The way through: a request to its service, the answer back, both as they come."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from bookstore.gateway.client import Client, ClientGone, Watch
from bookstore.gateway.errand import Answered, Errand, errand_of
from bookstore.gateway.gateway import Gateway
from bookstore.gateway.limits import refusal
from bookstore.gateway.upstreams import Delivery, NoTarget
from bookstore.gateway.upstreams.retry import REPLAYABLE
from bookstore.resilience import BulkheadFull, CircuitOpen
from bookstore.service.door import Request
from bookstore.service.problem import Problem, send_problem
from bookstore.service.upstream import ConnectFailed, Header, StreamedAnswer, TimedOut, UpstreamError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)


class AnswerCutShort(Exception):
    """The service died in the middle of its answer: the client's connection ends without the answer's end."""


class Proxy:
    """A plain ASGI app: routed paths go to their service, all others to the gateway's own app.

    Args:
        own: What answers where no route does.
        gateway: Holds the file that is gone by.
        leaving: Whether this process is about to end, so that clients should connect elsewhere.
    """

    def __init__(self, own: "ASGIApp", gateway: Gateway, leaving: Callable[[], bool]) -> None:
        self._own = own
        self._gateway = gateway
        self._leaving = leaving
        self._watch = Watch()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request: find its route, ask whether it may, pass it on."""
        if scope["type"] == "http":
            told: list[Header] = [(b"connection", b"close")] if self._leaving() else []
            await _telling(scope, send, told, self._serve(scope, receive, send, told))
        else:
            await self._own(scope, receive, send)

    async def _serve(self, scope: "Scope", receive: "Receive", send: "Send", told: list[Header]) -> None:
        asked = cast("dict[str, Any]", scope)
        method, path, query = asked["method"], asked["raw_path"], asked["query_string"]
        request = Request(method, path, query, asked["headers"], asked["client"], keep_alive=True)
        errand = errand_of(self._gateway.snapshot, request, told)
        if errand is None:
            await self._own(scope, receive, send)
            return
        entry = errand.entry
        asked["path_template"] = entry.rule.prefix
        target = errand.target()
        asker = await errand.asker()
        if entry.limit is not None and not asker.exempt:
            decision = await entry.limit.ask(entry.rule.prefix, entry.counted_as(asker, errand.head.address))
            self._gateway.tally.decision(entry.limit.name, decision)
            told += entry.limit.fields(decision)
            if not decision.allowed:
                raise refusal(decision)
        client = _client(errand, receive, self._watch)
        body = await client.body(keep=REPLAYABLE if errand.repeatable else 0)
        call = errand.call(target, asker, body, client.length)
        await _pass(errand, Delivery(entry.group, call), client, send)


def going_on(errand: Errand, delivery: Delivery, watch: Watch) -> "ASGIApp":
    """What serves a request without a body whose delivery has begun already."""

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        cast("dict[str, Any]", scope)["path_template"] = errand.entry.rule.prefix
        client = _client(errand, receive, watch)
        await client.body()
        await _telling(scope, send, errand.told, _pass(errand, delivery, client, send))

    return app


def _client(errand: Errand, receive: "Receive", watch: Watch) -> Client:
    rule = errand.entry.rule
    return Client(receive, errand.head.length, rule.max_body, rule.timeout.idle, watch)


async def _telling(scope: "Scope", send: "Send", told: list[Header], work: Awaitable[None]) -> None:
    """Have this done, and answer what it raises."""
    try:
        await work
    except Answered as answered:
        await _send_empty(send, [*told, *answered.headers])
    except Problem as problem:
        problem.headers |= {name.decode(): value.decode("latin-1") for name, value in told}
        await send_problem(scope, send, problem)
    except ClientGone:
        pass


async def _pass(errand: Errand, delivery: Delivery, client: Client, send: "Send") -> None:
    entry = errand.entry
    started = False
    try:
        async with delivery as answer:
            headers = errand.answer(answer.headers, delivery.member.address)
            started = True
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            last = answer.whole()
            if last is None:
                last = await _all_but_the_last(answer, send)
            client.leave()
            await send({"type": "http.response.body", "body": last, "more_body": False})
    except asyncio.CancelledError:
        if not client.gone:
            raise
        cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()
    except (UpstreamError, BulkheadFull, CircuitOpen, NoTarget, Problem) as error:
        if isinstance(error, UpstreamError):
            logger.warning("a service failed", extra={"upstream": entry.group.name, "cause": str(error)})
        if started:
            raise AnswerCutShort(str(error)) from error
        raise error if isinstance(error, Problem) else _problem(entry.group.name, error) from error
    finally:
        client.leave()


async def _all_but_the_last(answer: StreamedAnswer, send: "Send") -> bytes:
    """Send the pieces as they come; gives the one that ends the answer."""
    async for chunk in answer:
        if answer.ended:
            return chunk
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    return b""


async def _send_empty(send: "Send", headers: list[Header]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _problem(name: str, error: UpstreamError | BulkheadFull | CircuitOpen | NoTarget) -> Problem:
    # What exactly went wrong names addresses inside: the log has it.
    match error:
        case ConnectFailed() | NoTarget():
            return Problem(503, "service-unavailable", f"the {name} service can't be reached")
        case BulkheadFull():
            return Problem(503, "service-busy", f"the {name} service has as many requests as it can take")
        case CircuitOpen():
            headers = {"Retry-After": str(max(1, ceil(error.retry_after or 1)))}
            detail = f"the {name} service fails, and is left alone for a moment"
            return Problem(503, "service-unavailable", detail, headers=headers)
        case TimedOut():
            return Problem(504, "gateway-timeout", f"the {name} service did not answer in time")
        case _:
            return Problem(502, "bad-gateway", f"the {name} service broke off")
