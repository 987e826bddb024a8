"""Stop calling what doesn't answer, and find out with a few calls when it does again."""

from dataclasses import KW_ONLY, dataclass, field
from math import inf
from threading import RLock
from typing import Any, ClassVar, Final

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.circuit import Circuit
from bookstore.resilience.clock import SYSTEM
from bookstore.resilience.delays import Backoff
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.guard import Guard, settle
from bookstore.resilience.outcome import Classify, Outcome, Verdict, verdict_of
from bookstore.resilience.permit import CircuitPermit, Snapshot, State
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer, reject
from bookstore.resilience.settings import settings_of
from bookstore.resilience.window import Window


class _Default(int):
    """A number that nobody asked for, and that gives way to others."""


_LAST_TEN_SECONDS: Final = Window.time(10.0)
_TWENTY: Final = _Default(20)


@dataclass(frozen=True, eq=False)
class Breaker(Guard):
    """A circuit breaker with a sliding window.

    It opens when at least `min_calls` of the window have ended and the share of failures, or of slow calls,
    has reached its limit; every outcome is judged, a success too. After `open_for` it lets `trials` calls
    through and refuses all others; when they have all reported, their rate closes it or opens it again.

    Args:
        window: how far back it looks.
        min_calls: below that many ended calls there is no rate. By default 20, or a window that is shorter.
        failure_rate: share of failures that opens it, itself included.
        slow_call: seconds from which a call is slow. Calls under way count from then on, before they end.
        slow_rate: share of slow calls that opens it.
        consecutive: failures in a row that open it, whatever the rate.
        trials: calls that are let through in half-open.
        trial_wait: seconds after which a trial that hasn't reported counts as lost, and it opens again. By
            default as long as it was open, and a minute at least.
        open_for: seconds to stay open, or a `backoff` that grows with each opening until it closes.
        classify: your judge of values and errors. By default every `Exception` that isn't a `Rejected` is a
            failure.
    """

    _: KW_ONLY
    window: Window = _LAST_TEN_SECONDS
    min_calls: int = _TWENTY
    failure_rate: float = 0.5
    slow_call: float | None = None
    slow_rate: float = 1.0
    consecutive: int | None = None
    trials: int = 3
    trial_wait: float | None = None
    open_for: float | Backoff = 30.0
    classify: Classify | None = None

    _circuit: Circuit = field(default=LATER, init=False, repr=False, compare=False)
    _lock: Any = field(default=LATER, init=False, repr=False, compare=False)
    _scopes: dict[str, Scope] = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar[tuple[int, int]] = (60, 60)
    adaptable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.kind("window", self.window, Window)
        if isinstance(self.min_calls, _Default) and self.window.calls is not None:
            assign(self, min_calls=_Default(min(_TWENTY, self.window.calls)))
        self._check()
        assign(self, _lock=RLock(), _scopes={}, _circuit=Circuit(self, self.clock or SYSTEM, self._announce))

    def _check(self) -> None:
        checks.count("min_calls", self.min_calls)
        size = self.window.calls
        fits = size is None or self.min_calls <= size
        checks.require(fits, "min_calls", f"at most the window's {size}", self.min_calls)
        checks.share("failure_rate", self.failure_rate)
        checks.share("slow_rate", self.slow_rate)
        checks.count("trials", self.trials)
        if self.slow_call is not None:
            checks.seconds("slow_call", self.slow_call)
        if self.consecutive is not None:
            checks.count("consecutive", self.consecutive)
        if self.trial_wait is not None:
            checks.seconds("trial_wait", self.trial_wait)
        if not isinstance(self.open_for, Backoff):
            checks.seconds("open_for", self.open_for)
        checks.function("classify", self.classify)

    @property
    def state(self) -> State:
        """`closed`, `open`, `half_open`, `forced_open`, `disabled` or `metrics_only`, as of now."""
        self._circuit.look(self._circuit.clock.now())
        return self._circuit.state

    @property
    def in_flight(self) -> int:
        """Trials under way; with `slow_call`, all calls under way. Others need no keeping track of."""
        return self._circuit.running.count

    def acquire(self) -> CircuitPermit:
        """Leave to call, to be settled with exactly one of `ok`, `fail` and `drop`; or `CircuitOpen`."""
        circuit = self._circuit
        if circuit.shared is not None:
            # Nobody will ask how long the call took, so it isn't looked up when it began.
            return CircuitPermit(circuit, circuit.generation, inf)
        return circuit.acquire()

    def verdict(
        self, permit: CircuitPermit, error: BaseException | None, value: Any = None, attempt: int = 1
    ) -> Verdict:
        """What the end of a call means, which took from its permit until now."""
        elapsed = self._circuit.clock.now() - permit.started
        return verdict_of(Outcome(value, error, elapsed, attempt), self.classify)

    def snapshot(self) -> Snapshot:
        """Numbers for a dashboard."""
        now = self._circuit.clock.now()
        self._circuit.look(now)
        return self._circuit.snapshot(now)

    def force_open(self) -> None:
        """Let nothing through until `reset`."""
        self._circuit.enter("forced_open")

    def disable(self) -> None:
        """Let everything through and record nothing until `reset`."""
        self._circuit.enter("disabled")

    def metrics_only(self) -> None:
        """Let everything through, record, and never open until `reset`."""
        self._circuit.enter("metrics_only")

    def reset(self) -> None:
        """Begin anew: closed, with an empty window."""
        self._circuit.enter("closed")

    def reconfigure(self, **settings: Any) -> None:
        """Change settings. State, generation and permits stay, and the window unless it is what changes."""
        known = settings_of(self)
        for unknown in settings.keys() - known.keys():
            checks.require(False, unknown, "a setting of Breaker", settings[unknown])
        assign(
            self, **settings_of(type(self)(**known | settings))
        )  # nothing changes unless all of it is right
        self._circuit.read_rules()
        if self.window != known["window"]:
            self._circuit.change_window()

    def adapt(self, new: Policy) -> None:
        """Take over the settings of another breaker."""
        self.reconfigure(**settings_of(new))

    def join(self, scope: Scope) -> None:
        """Take the pipeline's clock, and tell its sinks of every transition."""
        self._scopes[scope.name] = scope
        if self.clock is None:
            self._circuit.clock = scope.clock

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Ask the circuit before the call, and tell it how the call ended."""
        circuit, conclude, refuse = self._circuit, self._conclude, self._refuse

        async def layer(call: Call) -> Any:
            try:
                # Each call settles it once, below.
                permit = circuit.shared or circuit.acquire()
            except CircuitOpen as error:
                refuse(scope, error, call)
                raise
            try:
                value = await inner(call)
            except BaseException as error:
                conclude(permit, call, None, error)
                raise
            if self.classify is None:
                permit.ok()
            else:
                conclude(permit, call, value, None)
            return value

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same around a plain function, which any thread may call: one at a time looks at the circuit."""

        def layer(call: Call) -> Any:
            try:
                with self._lock:
                    permit = self._circuit.shared or self._circuit.acquire()
            except CircuitOpen as error:
                self._refuse(scope, error, call)
                raise
            try:
                value = inner(call)
            except BaseException as error:
                with self._lock:
                    self._conclude(permit, call, None, error)
                raise
            with self._lock:
                self._conclude(permit, call, value, None)
            return value

        return layer

    def _refuse(self, scope: Scope, error: CircuitOpen, call: Call) -> None:
        reject(scope, self.label, error, call.attempt)

    def _conclude(self, permit: CircuitPermit, call: Call, value: Any, error: BaseException | None) -> None:
        try:
            verdict = self.verdict(permit, error, value, call.attempt)
        except BaseException:
            permit.drop()  # a judge that fails must not keep the permit
            raise
        settle(permit, verdict, error)

    def _announce(self, before: State, after: State) -> None:
        for scope in self._scopes.values():
            scope.emit("transition", self.label, detail={"from": before, "to": after})
