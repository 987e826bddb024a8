"""One request on its way to a service: admitted, tried, tried elsewhere if that is safe, and settled."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from bookstore.gateway.config import model
from bookstore.gateway.config.model import Reason
from bookstore.gateway.upstreams.group import Group, NoTarget
from bookstore.gateway.upstreams.member import Member
from bookstore.gateway.upstreams.retry import Judged, judge, reason_of
from bookstore.resilience import BulkheadFull, CircuitOpen
from bookstore.service.upstream import ConnectFailed, TimedOut, UpstreamError
from bookstore.service.upstream.client import StreamedAnswer

if TYPE_CHECKING:
    from bookstore.resilience.balance import Lease
    from bookstore.resilience.bulkhead import SlotPermit
    from bookstore.resilience.permit import CircuitPermit

_BLINK = 0.005
"""Seconds in which nothing can be done any more."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A request as it goes out.

    Attributes:
        lines: Its headers, as they go out.
        streams: Whether its body still comes.
        key: Whose request it is.
        repeatable: Whether sending it twice does what sending it once does.
        route: What it is called in traces.
        started: When its time began, on the monotonic clock.
    """

    method: str
    target: bytes
    lines: bytes
    body: bytes | AsyncGenerator[bytes] | None
    length: int | None
    streams: bool
    key: str
    timeout: model.Timeout
    retry: model.Retry
    repeatable: bool
    route: str
    started: float


class Delivery:
    """`async with Delivery(group, call) as answer`: the answer's head is there, its body still comes.

    Leaving the block settles what was taken: the place, the target's lease. Leaving it before the answer's
    end closes the connection.

    Most requests need no task for that: `begin` sends one at once, and `take` has the whole answer, which
    `end` settles. Wherever that would have to wait, or to try again, `async with` goes on from there.
    """

    __slots__ = (
        "_admitted", "_aimed", "_call", "_circuit", "_exchange", "_group", "_judged", "_lease", "_member",
        "_place", "_refused", "_sent_at", "_took", "_tried",
    )  # fmt: skip

    def __init__(self, group: Group, call: Call) -> None:
        self._group = group
        self._call = call
        self._tried: list[str] = []
        self._admitted = False
        self._refused: BulkheadFull | CircuitOpen | None = None
        self._aimed = False
        """Whether a target was picked, and the request made ready for it."""
        self._place: SlotPermit
        self._circuit: CircuitPermit
        self._lease: Lease
        self._member: Member
        self._exchange: StreamedAnswer
        self._judged: Judged
        self._sent_at = 0.0
        self._took = 0.0

    @property
    def member(self) -> Member:
        """Who has answered."""
        return self._member

    # -- without waiting

    def begin(self, listener: Callable[[], None]) -> bool:
        """Send it now, if that needs no waiting: then `listener` is called, once, when there is news."""
        try:
            self._admit()
        except (BulkheadFull, CircuitOpen) as error:
            self._refused = error
            return False
        try:
            self._aim()
        except NoTarget:
            return False
        return self._exchange.start(listener)

    def take(self) -> tuple[StreamedAnswer, bytes] | None:
        """All of the answer and its body, if it is there and no other target has to be asked."""
        answer = self._exchange
        if not answer.take():
            return None
        judged = judge(answer.status, answer.headers)
        if judged.reason is not None and judged.reason in self._call.retry.on:
            return None
        body = answer.whole()
        if body is None:
            return None
        self._hear(answer, judged)
        self._settle_circuit()
        return answer, body

    def end(self) -> None:
        """It was answered with what `take` gave."""
        self._aimed = False
        self._exchange.leave(answered=True)
        self._settle_target(failed=False, error=None)
        self._place.drop()

    def abandon(self) -> None:
        """Nobody wants the answer any more; may be said at any time."""
        if self._aimed:
            self._aimed = False
            self._exchange.leave(answered=False)
            self._member.leave()
            self._lease.drop()
        if self._admitted:
            self._circuit.drop()
            self._place.drop()

    # -- with all the time there is

    async def __aenter__(self) -> StreamedAnswer:
        """Send it.

        Raises:
            BulkheadFull: the service has as many requests as it may.
            CircuitOpen: the service is left alone for a while.
            NoTarget: there is nobody to send to.
            UpstreamError: what the last target did.
        """
        if self._refused is not None:
            raise self._refused
        if not self._admitted:
            self._admit()
        try:
            answer = await self._until_answered()
        except (UpstreamError, NoTarget):
            self._circuit.fail()
            self._place.drop()
            raise
        except BaseException:
            self._circuit.drop()
            self._place.drop()
            raise
        self._settle_circuit()
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(kind, error, trace, failed=isinstance(error, UpstreamError))
        self._place.drop()

    # -- the steps of both

    def _admit(self) -> None:
        """Have a place, and the circuit's leave."""
        group = self._group
        try:
            self._place = group.places.acquire()
        except BulkheadFull:
            group.tally.full[group.name] += 1
            raise
        try:
            self._circuit = group.breaker.acquire()
        except BaseException:
            self._place.drop()
            raise
        group.budget.deposit()
        self._admitted = True

    def _aim(self) -> None:
        """Pick a target, and make the request ready for it; from here on it is in flight there."""
        call = self._call
        lease, member = self._group.pick(call.key, self._tried)
        self._lease, self._member = lease, member
        self._tried.append(member.url)
        self._sent_at = monotonic()
        left = self._left()
        member.enter()
        try:
            self._exchange = member.client.stream(
                call.method,
                call.target,
                headers=((b"x-deadline-ms", b"%d" % (left * 1000)),),
                lines=call.lines,
                body=call.body,
                length=call.length,
                timeout=min(call.timeout.attempt, left),
                connect_timeout=call.timeout.connect,
                idle_timeout=call.timeout.idle,
                route=call.route,
                resends=len(self._tried) - 1,
            )
        except BaseException:
            member.leave()
            lease.drop()
            raise
        self._aimed = True

    async def _until_answered(self) -> StreamedAnswer:
        failure: UpstreamError | None = None
        while True:
            try:
                if not self._aimed:
                    self._aim()
            except NoTarget:
                if failure is None:
                    raise
                raise failure from None
            reason: Reason | None
            try:
                answer = await self._answered()
            except UpstreamError as error:
                failure, reason = error, reason_of(error)
                if not self._may_go_on(reason):
                    raise
            else:
                reason = self._judged.reason
                if reason is None or not self._may_go_on(reason):
                    return answer
                await self._end(None, None, None, failed=True)

    async def _answered(self) -> StreamedAnswer:
        """The answer of the target that was picked."""
        self._aimed = False
        member, lease = self._member, self._lease
        try:
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
        self._hear(answer, judge(answer.status, answer.headers))
        return answer

    def _hear(self, answer: StreamedAnswer, judged: Judged) -> None:
        self._took = monotonic() - self._sent_at
        self._judged = judged
        self._count(f"{answer.status // 100}xx")

    def _left(self) -> float:
        """Seconds that are left for the whole of it."""
        if self._call.streams:
            # The time for an upload is its own: the count begins when all of it was sent.
            return self._call.timeout.total
        return max(0.0, self._call.timeout.total - (monotonic() - self._call.started))

    def _count(self, outcome: str) -> None:
        self._group.tally.attempts[self._group.name, self._member.url, outcome] += 1

    def _settle_circuit(self) -> None:
        if self._judged.service == "ok":
            self._circuit.ok()
        else:
            self._circuit.fail()

    def _settle_target(self, *, failed: bool, error: BaseException | None) -> None:
        self._member.leave()
        if failed or self._judged.target == "fail":
            self._lease.fail(error, elapsed=self._took)
        else:
            self._lease.ok(elapsed=self._took)

    async def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        *,
        failed: bool,
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)
        self._settle_target(failed=failed, error=error)

    def _may_go_on(self, reason: Reason | None) -> bool:
        """Whether to ask another target. One that was never reached costs nothing, and so needs no budget."""
        call = self._call
        if reason is None or reason not in call.retry.on or self._left() < _BLINK:
            return False
        if reason == "connect":
            return True
        if call.streams or not (
            call.repeatable and len(self._tried) < call.retry.attempts and self._group.has_other(self._tried)
        ):
            return False
        granted = self._group.budget.withdraw()
        self._group.tally.retries[self._group.name, "sent" if granted else "over_budget"] += 1
        return granted
