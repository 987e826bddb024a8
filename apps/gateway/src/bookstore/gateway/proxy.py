"""The way through: a request to its service, the answer back, both as they come."""

import asyncio
import logging
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from bookstore.gateway.client import Client, ClientGone, Watch
from bookstore.gateway.gateway import Gateway
from bookstore.gateway.head import Head, read_head
from bookstore.gateway.headers import to_client, to_service
from bookstore.gateway.limits import refusal
from bookstore.gateway.path import BadPath, normalised
from bookstore.gateway.route import NotAllowed
from bookstore.gateway.snapshot import Entry, Snapshot
from bookstore.gateway.upstreams import Call, Delivery, NoTarget
from bookstore.gateway.upstreams.retry import REPLAYABLE, repeatable
from bookstore.resilience import BulkheadFull, CircuitOpen
from bookstore.service.problem import Problem, send_problem
from bookstore.service.upstream import ConnectFailed, Header, StreamedAnswer, TimedOut, UpstreamError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

_REFUSED = frozenset({"CONNECT", "TRACE"})
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

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
        request = cast("dict[str, Any]", scope)
        if request["type"] != "http":
            await self._own(scope, receive, send)
            return
        told: list[Header] = [(b"connection", b"close")] if self._leaving() else []
        try:
            path = _path(request)
            head = read_head(request["headers"])
            snapshot = self._gateway.snapshot
            if snapshot.cors is not None:
                told += snapshot.cors.answer(head.origin)
            entry = _route(snapshot, request, path, head)
            if entry is None:
                await self._own(scope, receive, send)
                return
            await self._serve(request, receive, send, (snapshot, entry, head, path, told))
        except _Answered as answered:
            await _send_empty(send, [*told, *answered.headers])
        except Problem as problem:
            problem.headers |= {name.decode(): value.decode("latin-1") for name, value in told}
            await send_problem(scope, send, problem)
        except ClientGone:
            pass

    async def _serve(
        self,
        request: dict[str, Any],
        receive: "Receive",
        send: "Send",
        found: tuple[Snapshot, Entry, Head, bytes, list[Header]],
    ) -> None:
        snapshot, entry, head, path, told = found
        rule = entry.rule
        request["path_template"] = rule.prefix
        target = entry.inward(path)
        if target is None:
            raise Problem(404, "not-found", f"nothing answers at {request['path']}")
        if head.websocket:
            raise Problem(501, "not-implemented", "there is no WebSocket here")
        address = snapshot.proxies.client(request["client"][0], head.forwarded)
        given = head.authorized and entry.personal
        asker = await snapshot.doorman.ask(rule, request["headers"], address, given=given)
        if entry.limit is not None and not asker.exempt:
            decision = await entry.limit.ask(rule.prefix, entry.counted_as(asker, address))
            self._gateway.tally.decision(entry.limit.name, decision)
            told += entry.limit.fields(decision)
            if not decision.allowed:
                raise refusal(decision)
        method: str = request["method"]
        client = Client(receive, head.length, rule.max_body, rule.timeout.idle, self._watch)
        may_repeat = repeatable(method, keyed=head.keyed)
        body = await client.body(keep=REPLAYABLE if may_repeat else 0)
        query: bytes = request["query_string"]
        call = Call(
            method=method,
            target=target + b"?" + query if query else target,
            headers=to_service(request["headers"], client=address, scheme=request["scheme"]),
            body=body,
            length=client.length,
            key=asker.name,
            timeout=rule.timeout,
            retry=rule.retry,
            repeatable=may_repeat,
            route=rule.prefix,
        )
        await _pass(entry, call, client, send, told)


async def _pass(entry: Entry, call: Call, client: Client, send: "Send", told: list[Header]) -> None:
    started = False
    try:
        delivery = Delivery(entry.group, call)
        async with delivery as answer:
            headers = to_client(
                answer.headers,
                base_url=delivery.member.address,
                outward=entry.outward if entry.moves else None,
            )
            started = True
            await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, *told]})
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


class _Answered(Exception):
    """There is nothing more to say than these headers."""

    def __init__(self, headers: list[Header]) -> None:
        super().__init__(headers)
        self.headers = headers


def _path(request: dict[str, Any]) -> bytes:
    if request["method"] in _REFUSED:
        raise _not_allowed(request["method"], _METHODS)
    try:
        return normalised(request["raw_path"])
    except BadPath as error:
        raise Problem(400, "bad-path", str(error)) from None


def _route(snapshot: Snapshot, request: dict[str, Any], path: bytes, head: Head) -> Entry | None:
    method: str = request["method"]
    try:
        entry = snapshot.routes.match(method, path, head.host)
    except NotAllowed as error:
        if method != "OPTIONS":
            raise _not_allowed(method, error.allow) from None
        raise _Answered([(b"allow", ", ".join(error.allow).encode())]) from None
    if method == "OPTIONS" and entry is not None and snapshot.cors is not None and head.preflight:
        raise _Answered(snapshot.cors.preflight(head.origin, _METHODS))
    return entry


async def _send_empty(send: "Send", headers: list[Header]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _not_allowed(method: str, allow: tuple[str, ...]) -> Problem:
    headers = {"Allow": ", ".join(allow)}
    return Problem(405, "method-not-allowed", f"{method} is not possible here", headers=headers)


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
