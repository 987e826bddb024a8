"""One request on its way to a service: admitted, tried, tried elsewhere if that is safe, and settled."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from bookstore.gateway.config import model
from bookstore.gateway.config.model import Reason
from bookstore.gateway.upstreams.group import Group, NoTarget
from bookstore.gateway.upstreams.member import Member
from bookstore.gateway.upstreams.retry import Judged, judge, reason_of
from bookstore.resilience import BulkheadFull
from bookstore.service.upstream import ConnectFailed, Header, TimedOut, UpstreamError
from bookstore.service.upstream.client import StreamedAnswer

if TYPE_CHECKING:
    from bookstore.resilience.balance import Lease
    from bookstore.resilience.bulkhead import SlotPermit
    from bookstore.resilience.permit import CircuitPermit

_BLINK = 0.005
"""Seconds in which nothing can be done any more."""


@dataclass(slots=True)
class Call:
    """A request as it goes out."""

    method: str
    target: bytes
    headers: list[Header]
    body: bytes | AsyncGenerator[bytes] | None
    length: int | None
    key: str
    """Whose request it is."""
    timeout: model.Timeout
    retry: model.Retry
    repeatable: bool
    """Whether sending it twice does what sending it once does."""
    route: str = ""
    """What it is called in traces."""
    started: float = field(default_factory=monotonic)
    streams: bool = field(init=False)
    """Whether its body still comes."""

    def __post_init__(self) -> None:
        self.streams = not (self.body is None or isinstance(self.body, bytes))


class Delivery:
    """`async with Delivery(group, call) as answer`: the answer's head is there, its body still comes.

    Leaving the block settles what was taken: the place, the target's lease. Leaving it before the answer's
    end closes the connection.
    """

    __slots__ = (
        "_call", "_circuit", "_exchange", "_group", "_judged", "_lease", "_member", "_place", "_took",
        "attempts",
    )  # fmt: skip

    def __init__(self, group: Group, call: Call) -> None:
        self._group = group
        self._call = call
        self.attempts = 0
        self._place: SlotPermit
        self._circuit: CircuitPermit
        self._lease: Lease
        self._member: Member
        self._exchange: StreamedAnswer
        self._judged: Judged
        self._took = 0.0

    @property
    def member(self) -> Member:
        """Who has answered."""
        return self._member

    async def __aenter__(self) -> StreamedAnswer:
        """Send it.

        Raises:
            BulkheadFull: the service has as many requests as it may.
            CircuitOpen: the service is left alone for a while.
            NoTarget: there is nobody to send to.
            UpstreamError: what the last target did.
        """
        try:
            self._place = self._group.places.acquire()
        except BulkheadFull:
            self._group.tally.full[self._group.name] += 1
            raise
        try:
            self._circuit = self._group.breaker.acquire()
            self._group.budget.deposit()
            try:
                answer = await self._until_answered()
            except (UpstreamError, NoTarget):
                self._circuit.fail()
                raise
            except BaseException:
                self._circuit.drop()
                raise
        except BaseException:
            self._place.drop()
            raise
        if self._judged.service == "ok":
            self._circuit.ok()
        else:
            self._circuit.fail()
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(kind, error, trace, failed=isinstance(error, UpstreamError))
        self._place.drop()

    async def _until_answered(self) -> StreamedAnswer:
        tried: list[str] = []
        failure: UpstreamError | None = None
        while True:
            try:
                self._lease, self._member = self._group.pick(self._call.key, tried)
            except NoTarget:
                if failure is None:
                    raise
                raise failure from None
            tried.append(self._member.url)
            reason: Reason | None
            try:
                answer = await self._try()
            except UpstreamError as error:
                failure, reason = error, reason_of(error)
                if not self._may_go_on(reason, tried):
                    raise
            else:
                reason = self._judged.reason
                if reason is None or not self._may_go_on(reason, tried):
                    return answer
                await self._end(None, None, None, failed=True)

    async def _try(self) -> StreamedAnswer:
        """Ask the target that was picked."""
        call, lease, member = self._call, self._lease, self._member
        self.attempts += 1
        began = monotonic()
        left = self._left()
        member.enter()
        try:
            self._exchange = member.client.stream(
                call.method,
                call.target,
                headers=[*call.headers, (b"x-deadline-ms", b"%d" % (left * 1000))],
                body=call.body,
                length=call.length,
                timeout=min(call.timeout.attempt, left),
                connect_timeout=call.timeout.connect,
                idle_timeout=call.timeout.idle,
                route=call.route,
                resends=self.attempts - 1,
            )
            answer = await self._exchange.__aenter__()
        except UpstreamError as error:
            member.leave()
            if isinstance(error, ConnectFailed) and self._left() < _BLINK:
                # Nobody is to blame for what he had no time for.
                lease.drop()
                self._count("timeout")
                raise TimedOut(str(error)) from error
            lease.fail(error)
            self._count(reason_of(error) or "error")
            if isinstance(error, ConnectFailed):
                member.unreachable()
            raise
        except BaseException:
            member.leave()
            lease.drop()
            raise
        self._took = monotonic() - began
        self._judged = judge(answer.status, answer.headers)
        self._count(f"{answer.status // 100}xx")
        return answer

    def _left(self) -> float:
        """Seconds that are left for the whole of it."""
        if self._call.streams:
            # The time for an upload is its own: the count begins when all of it was sent.
            return self._call.timeout.total
        return max(0.0, self._call.timeout.total - (monotonic() - self._call.started))

    def _count(self, outcome: str) -> None:
        self._group.tally.attempts[self._group.name, self._member.url, outcome] += 1

    async def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        *,
        failed: bool,
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)
        self._member.leave()
        if failed or self._judged.target == "fail":
            self._lease.fail(error, elapsed=self._took)
        else:
            self._lease.ok(elapsed=self._took)

    def _may_go_on(self, reason: Reason | None, tried: list[str]) -> bool:
        """Whether to ask another target. One that was never reached costs nothing, and so needs no budget."""
        call = self._call
        if reason is None or reason not in call.retry.on or self._left() < _BLINK:
            return False
        if reason == "connect":
            return True
        if call.streams or not (
            call.repeatable and self.attempts < call.retry.attempts and self._group.has_other(tried)
        ):
            return False
        granted = self._group.budget.withdraw()
        self._group.tally.retries[self._group.name, "sent" if granted else "over_budget"] += 1
        return granted
