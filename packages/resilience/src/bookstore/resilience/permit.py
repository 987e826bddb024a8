"""What a circuit hands out: a permit for each call, and a snapshot for whoever watches."""

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from bookstore.resilience.circuit import Circuit

State: TypeAlias = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]


class Snapshot(NamedTuple):
    """What a breaker knows: of its window, or in and after half-open of its trials.

    The rates are `None` below the number of calls that they are judged from.
    """

    calls: int
    failures: int
    slow: int
    failure_rate: float | None
    slow_rate: float | None
    rejected: int
    opened_at: float | None
    generation: int
    state: State


class CircuitPermit:
    """Leave to call, of one generation."""

    __slots__ = ("_circuit", "generation", "started")

    def __init__(self, circuit: "Circuit", generation: int, started: float) -> None:
        self._circuit: Circuit | None = circuit
        self.generation = generation
        self.started = started

    def ok(self, *, elapsed: float | None = None) -> None:
        """The call succeeded. `elapsed` stands in for the time since the permit was given."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            if circuit.shared is not None and self.generation == circuit.generation:
                circuit.count_good()
            else:
                circuit.settle(self, False, elapsed)

    def fail(
        self,
        error: BaseException | None = None,  # noqa: ARG002 - permits of other policies may want it
        *,
        elapsed: float | None = None,
    ) -> None:
        """The call failed. The error isn't kept: it would keep the frames of its call alive."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            circuit.settle(self, True, elapsed)

    def drop(self) -> None:
        """The call was cancelled or doesn't count: give the permit back and learn nothing."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            circuit.forget(self)


class SharedPermit(CircuitPermit):
    """Leave for all calls of one generation, each of which settles it once and sees to that itself.

    A circuit has one while nothing about a call matters to it but its end.
    """

    __slots__ = ()

    def ok(self, *, elapsed: float | None = None) -> None:
        """One of the calls succeeded."""
        circuit = self._circuit
        assert circuit is not None  # noqa: S101 - nobody takes it away
        if circuit.shared is not None and self.generation == circuit.generation:
            circuit.count_good()
        else:
            circuit.settle(self, False, elapsed)

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:  # noqa: ARG002 - as above
        """One of them failed."""
        assert self._circuit is not None  # noqa: S101 - nobody takes it away
        self._circuit.settle(self, True, elapsed)

    def drop(self) -> None:
        """One of them doesn't count."""


class Running:
    """Permits under way, in the order in which they were given, and which of them are overdue."""

    __slots__ = ("_overdue", "_young", "count")

    def __init__(self) -> None:
        self._young: dict[CircuitPermit, None] = {}
        self._overdue: set[CircuitPermit] = set()
        self.count = 0

    def add(self, permit: CircuitPermit) -> None:
        """A call begins."""
        self._young[permit] = None
        self.count += 1

    def remove(self, permit: CircuitPermit) -> None:
        """A call has ended, if it was one of these."""
        if permit in self._young:
            del self._young[permit]
            self.count -= 1
        elif permit in self._overdue:
            self._overdue.remove(permit)
            self.count -= 1

    def clear(self) -> None:
        """Nobody is of interest any longer."""
        self._young.clear()
        self._overdue.clear()
        self.count = 0

    def oldest(self) -> float:
        """When the call began that has run longest, of those not known to be overdue."""
        return next(iter(self._young)).started

    def overdue(self, since: float) -> int:
        """How many began at that time or before. Each is looked at once, however often this is asked."""
        while self._young and self.oldest() <= since:
            permit = next(iter(self._young))
            del self._young[permit]
            self._overdue.add(permit)
        return len(self._overdue)
