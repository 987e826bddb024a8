"""What a request wants: which route it takes, where it leads, and what goes on to the service."""

from collections.abc import AsyncGenerator

from bookstore.gateway.head import Head, read_head
from bookstore.gateway.headers import to_client, to_service
from bookstore.gateway.identity import Asker
from bookstore.gateway.path import BadPath, normalised
from bookstore.gateway.route import NotAllowed
from bookstore.gateway.snapshot import Entry, Snapshot
from bookstore.gateway.upstreams import Call
from bookstore.gateway.upstreams.retry import repeatable
from bookstore.service.door import Request
from bookstore.service.problem import Problem
from bookstore.service.upstream import Header

_REFUSED = frozenset({"CONNECT", "TRACE"})
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Answered(Exception):
    """There is nothing more to say than these headers."""

    def __init__(self, headers: list[Header]) -> None:
        super().__init__(headers)
        self.headers = headers


class Errand:
    """A request for which there is a route.

    Attributes:
        snapshot: The file that it goes by, from its beginning to its end.
        entry: Its route.
        head: What its headers say to the gateway.
        address: Where it comes from.
        told: What the client is told with any answer.
    """

    __slots__ = (
        "_request", "address", "entry", "head", "repeatable", "snapshot", "told",
    )  # fmt: skip

    def __init__(
        self,
        snapshot: Snapshot,
        entry: Entry,
        head: Head,
        request: Request,
        told: list[Header],
    ) -> None:
        self.snapshot = snapshot
        self.entry = entry
        self.head = head
        self.address = snapshot.proxies.client(request.client[0], head.forwarded)
        self.told = told
        self._request = request
        self.repeatable = repeatable(request.method, keyed=head.keyed)
        """Whether sending it twice does what sending it once does."""

    def target(self) -> bytes:
        """What the service is asked for.

        Raises:
            Problem: 404 for what the service hides, 501 for a protocol that isn't spoken here.
        """
        target = self.entry.inward(self._request.path)
        if target is None:
            raise Problem(404, "not-found", f"nothing answers at {self._request.path.decode('latin-1')}")
        if self.head.websocket:
            raise Problem(501, "not-implemented", "there is no WebSocket here")
        query = self._request.query
        return target + b"?" + query if query else target

    async def asker(self) -> Asker:
        """Who asks, who may; else a `Problem`."""
        given = self.head.authorized and self.entry.personal
        return await self.snapshot.doorman.ask(
            self.entry.rule, self._request.headers, self.address, given=given
        )

    def asker_now(self) -> Asker | None:
        """The same, if he may and that needs no waiting."""
        given = self.head.authorized and self.entry.personal
        return self.snapshot.doorman.ask_now(
            self.entry.rule, self._request.headers, self.address, given=given
        )

    def call(
        self,
        target: bytes,
        asker: Asker,
        scheme: str,
        body: bytes | AsyncGenerator[bytes] | None,
        length: int | None,
    ) -> Call:
        """It, as it goes out."""
        rule = self.entry.rule
        return Call(
            method=self._request.method,
            target=target,
            headers=to_service(self._request.headers, client=self.address, scheme=scheme),
            body=body,
            length=length,
            key=asker.name,
            timeout=rule.timeout,
            retry=rule.retry,
            repeatable=self.repeatable,
            route=rule.prefix,
        )

    def answer(self, headers: list[Header], member: bytes) -> list[Header]:
        """The headers of the answer that this target has given, as the client gets them."""
        entry = self.entry
        outward = entry.outward if entry.moves else None
        return [*to_client(headers, base_url=member, outward=outward), *self.told]


def errand_of(snapshot: Snapshot, request: Request, told: list[Header]) -> Errand | None:
    """What this request wants; None if no route does for it.

    Args:
        snapshot: The file that is gone by.
        request: As it came.
        told: Is added to, be there an errand or not.

    Raises:
        Problem: for a request that nobody gets.
        Answered: for a question that the gateway itself answers.
    """
    if request.method in _REFUSED:
        raise _not_allowed(request.method, _METHODS)
    try:
        request = _in_one_spelling(request)
    except BadPath as error:
        raise Problem(400, "bad-path", str(error)) from None
    head = read_head(request.headers)
    if snapshot.cors is not None:
        told += snapshot.cors.answer(head.origin)
    entry = _route(snapshot, request.method, request.path, head)
    return None if entry is None else Errand(snapshot, entry, head, request, told)


def _in_one_spelling(request: Request) -> Request:
    path = normalised(request.path)
    return request if path is request.path else request._replace(path=path)


def _route(snapshot: Snapshot, method: str, path: bytes, head: Head) -> Entry | None:
    try:
        entry = snapshot.routes.match(method, path, head.host)
    except NotAllowed as error:
        if method != "OPTIONS":
            raise _not_allowed(method, error.allow) from None
        raise Answered([(b"allow", ", ".join(error.allow).encode())]) from None
    if method == "OPTIONS" and entry is not None and snapshot.cors is not None and head.preflight:
        raise Answered(snapshot.cors.preflight(head.origin, _METHODS))
    return entry


def _not_allowed(method: str, allow: tuple[str, ...]) -> Problem:
    headers = {"Allow": ", ".join(allow)}
    return Problem(405, "method-not-allowed", f"{method} is not possible here", headers=headers)
