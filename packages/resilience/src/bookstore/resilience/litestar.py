"""A Litestar plugin for the receiving end: keep to deadlines, shed what is too much, limit who asks.

Refusals are answers that a client can act on: 429 and 503 with `Retry-After`, 504 when the caller's time is
over, and on every answer of a limited application the fields `RateLimit` and `RateLimit-Policy`.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from litestar import Request, Response
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.plugins import InitPlugin

from bookstore.resilience.adaptive import Adaptive
from bookstore.resilience.bulkhead import Bulkhead
from bookstore.resilience.deadline import Deadline
from bookstore.resilience.errors import BulkheadFull, DeadlineExceeded, Rejected, TimedOut
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.store import Decision

if TYPE_CHECKING:
    from litestar.config.app import AppConfig
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

REASONS: Final[Mapping[int, str]] = {
    429: "Too Many Requests",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

BUSY: Final = 1.0
"""Seconds after which a client that was shed may try again: nobody knows when there will be room."""

KeyOf: TypeAlias = Callable[["Scope"], str]


def client(scope: "Scope") -> str:
    """Count by the address of the client. Behind a proxy, give a `key` that reads what the proxy tells."""
    address = scope["client"]
    return address[0] if address else ""


class ResiliencePlugin(InitPlugin):
    """Guards a whole application.

    ```python
    app = Litestar([...], plugins=[ResiliencePlugin(shed=Adaptive(), limit=RateLimit(Quota(100, per=60.0)))])
    ```

    A refusal that a handler meets on its way out, such as an open circuit, becomes a 503 or 504 as well.

    Args:
        shed: requests at a time: an `Adaptive`, which finds out how many, or a `Bulkhead`.
        limit: requests in a time, by `key`.
        key: who is asking; by default the client's address.
        deadline: the most that a request may take; what the caller sends in its header can only be less.
        exclude: paths that are always let in, such as those of health checks.
    """

    def __init__(
        self,
        *,
        shed: Adaptive | Bulkhead | None = None,
        limit: RateLimit[Any] | None = None,
        key: KeyOf = client,
        deadline: Deadline | None = None,
        exclude: frozenset[str] = frozenset(),
    ) -> None:
        self.shed = shed
        self.limit = limit
        self.key = key
        self.deadline = deadline
        self.exclude = exclude

    def on_app_init(self, app_config: "AppConfig") -> "AppConfig":
        """Stand before all other middleware."""
        app_config.middleware.insert(0, self._around)
        # Litestar leaves type arguments open here.
        handlers: dict[Any, Any] = cast("Any", app_config).exception_handlers
        for error in (Rejected, TimedOut):
            handlers.setdefault(error, refused)
        return app_config

    def _around(self, app: "ASGIApp", **_: Any) -> "ASGIApp":
        async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] != ScopeType.HTTP or scope["path"] in self.exclude:
                await app(scope, receive, send)
            else:
                await Exchange(self, app, send).run(scope, receive)

        return guarded


class Exchange:
    """One request, and what was answered."""

    __slots__ = ("_app", "_rules", "_send", "decision", "status")

    def __init__(self, rules: ResiliencePlugin, app: "ASGIApp", send: "Send") -> None:
        self._rules = rules
        self._app = app
        self._send = send
        self.decision: Decision | None = None
        self.status = 0

    async def run(self, scope: "Scope", receive: "Receive") -> None:
        """Answer, or refuse."""
        limit = self._rules.limit
        if limit is not None:
            self.decision = await limit.decide(self._rules.key(scope), limit.cost)
            if not self.decision.allowed:
                await self._refuse(429, self.decision.retry_after)
                return
        try:
            await self._within_deadline(scope, receive)
        except DeadlineExceeded:
            if self.status:
                raise  # too late for another answer
            await self._refuse(504, None)
        except BulkheadFull:
            if self.status:
                raise
            await self._refuse(503, BUSY)

    async def _within_deadline(self, scope: "Scope", receive: "Receive") -> None:
        deadline = self._rules.deadline
        if deadline is None:
            await self._with_room(scope, receive)
        else:
            async with deadline.arriving(Headers.from_scope(scope)):
                await self._with_room(scope, receive)

    async def _with_room(self, scope: "Scope", receive: "Receive") -> None:
        if self._rules.shed is None:
            await self._app(scope, receive, self.send)
            return
        permit = await self._rules.shed.admit()
        try:
            await self._app(scope, receive, self.send)
        except BaseException:
            permit.drop()
            raise
        if self.status in REASONS:  # what was refused on the way says nothing of this service
            permit.drop()
        elif self.status >= 500:  # noqa: PLR2004 - the class of server errors
            permit.fail()
        else:
            permit.ok()

    async def send(self, message: "Message") -> None:
        """Pass an answer on, with what the client should know of its limit."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.decision is not None and self._rules.limit is not None:
                headers = MutableScopeHeaders.from_message(message)
                for name, value in fields(self._rules.limit, self.decision).items():
                    headers[name] = value
        await self._send(message)

    async def _refuse(self, status: int, after: float | None) -> None:
        body = problem(status)
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        headers += [(name.encode(), value.encode()) for name, value in wait(after).items()]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def fields(limit: RateLimit[Any], decision: Decision) -> dict[str, str]:
    """The header fields of the IETF draft on rate limits."""
    quota, name = limit.quota, limit.name or "default"
    return {
        "ratelimit-policy": f'"{name}";q={quota.most};w={ceil(quota.per)}',
        "ratelimit": f'"{name}";r={decision.remaining};t={ceil(decision.reset_after)}',
    }


def wait(after: float | None) -> dict[str, str]:
    """`Retry-After`, in whole seconds and never 0: that would ask for the next try at once."""
    return {} if after is None else {"retry-after": str(max(1, ceil(after)))}


def problem(status: int) -> bytes:
    """A body as RFC 9457 has it."""
    return f'{{"status":{status},"title":"{REASONS[status]}"}}'.encode()


def refused(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to what a handler was refused on its way out: this service is the one that can't go on."""
    status = 504 if isinstance(error, DeadlineExceeded | TimedOut) else 503
    after = error.retry_after or BUSY if isinstance(error, Rejected) and status != 504 else None  # noqa: PLR2004
    return Response(
        problem(status), status_code=status, headers=wait(after), media_type="application/problem+json"
    )
