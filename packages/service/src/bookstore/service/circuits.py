"""The circuits of a process, as it shows them itself, and an operator's hand on them.

What is switched is the very object that calls go through. It is in memory only: a process that starts again
starts with every circuit closed, whatever was forced open before.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

from litestar import get, post
from litestar.params import JSONBody, PathParameter

from bookstore.contracts.circuits import CircuitAction, CircuitOrder, OwnCircuit, OwnCircuits
from bookstore.service.docs import problems
from bookstore.service.problem import Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import Hook, ops_logged_in, ops_only

logger = logging.getLogger(__name__)

_TAGS = ["circuits"]
Dependency = Annotated[
    str, PathParameter(description="Who is called.", schema_extra={"examples": ["supplier"]})
]


class Numbers(Protocol):
    """What a circuit knows at a moment."""

    @property
    def state(self) -> str:
        """The state that it is in."""
        ...

    @property
    def calls(self) -> int:
        """Calls that it looks back on."""
        ...

    @property
    def failures(self) -> int:
        """Those of them that failed."""
        ...

    @property
    def failure_rate(self) -> float | None:
        """Their share; None while there are too few."""
        ...

    @property
    def rejected(self) -> int:
        """Calls that it has refused."""
        ...


class Breaker(Protocol):
    """A circuit that can be switched, such as a `Breaker` of `bookstore.resilience`."""

    def snapshot(self) -> Numbers:
        """What it knows now."""
        ...

    def force_open(self) -> None:
        """Let nothing through until `reset`."""
        ...

    def reset(self) -> None:
        """Begin anew, closed."""
        ...


class Circuits:
    """The circuits of this process, by whom they lead to.

    Args:
        find: Gives them as they are now: whom a process depends on may change while it runs.
    """

    def __init__(self, find: Callable[[], Mapping[str, Breaker]]) -> None:
        self._find = find

    def show(self) -> OwnCircuits:
        """All of them."""
        return OwnCircuits(data=[_shown(name, breaker) for name, breaker in sorted(self._find().items())])

    def turn(self, dependency: str, action: CircuitAction) -> OwnCircuit:
        """Switch one; doing it again changes nothing.

        Raises:
            Problem: 404 if nothing of that name is called through a circuit.
        """
        breaker = self._find().get(dependency)
        if breaker is None:
            raise Problem(404, "not-found", "there is no circuit of that name here")
        if action == "force_open":
            breaker.force_open()
        else:
            breaker.reset()
        logger.warning("a circuit was switched", extra={"dependency": dependency, "action": action})
        return _shown(dependency, breaker)


def _shown(dependency: str, breaker: Breaker) -> OwnCircuit:
    now = breaker.snapshot()
    return OwnCircuit(
        dependency=dependency,
        state=now.state,
        calls=now.calls,
        failures=now.failures,
        failure_rate=now.failure_rate,
        rejected=now.rejected,
    )


def handlers(look: Hook | None = ops_only, switch: Hook | None = ops_logged_in) -> list[Any]:
    """The handlers, for which the app provides its `circuits`; no hook where others stand at the door."""

    @get("/v2/circuits", tags=_TAGS, before_request=look)
    async def show_circuits(circuits: Given[Circuits]) -> OwnCircuits:
        """The circuits of this process."""
        return circuits.show()

    @post(
        "/v2/circuits/{dependency:str}",
        status_code=200,
        tags=_TAGS,
        before_request=switch,
        responses=problems(404, 415, 422),
    )
    async def switch_circuit(
        data: JSONBody[CircuitOrder], dependency: Dependency, circuits: Given[Circuits]
    ) -> OwnCircuit:
        """Force a circuit of this process open, or reset it, closed."""
        return circuits.turn(dependency, data.action)

    return [show_circuits, switch_circuit]
