"""The playground over HTTP."""

import re
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from bookstore.contracts.playground import CircuitState, Invoked, Stressed
from bookstore.playground.journal import Journal
from bookstore.playground.play import FAILING, MIXED, SLOW, Playground
from bookstore.service.docs import problems
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_PLAIN = re.compile(r"[0-9]{1,4}")
_MOST_CALLS = 500
_LONGEST_STRESS = 50

Count = Annotated[int, QueryParameter(ge=1, le=_MOST_CALLS, description="How many calls.")]
Seconds = Annotated[int, QueryParameter(ge=1, le=_LONGEST_STRESS, description="For how long.")]


async def plain_numbers(request: Asked) -> None:
    """For `before_request`: a number is given once, in plain digits."""
    for name in ("count", "seconds"):
        given = [value for key, value in request.query_params.multi_items() if key == name]
        if len(given) > 1 or not all(_PLAIN.fullmatch(str(value)) for value in given):
            raise Problem(400, "validation", f"{name}: must be a whole number, given once")


_PLAY: dict[str, Any] = {"tags": ["play"], "before_request": plain_numbers, "responses": problems(400, 503)}


@get("/invoke", **_PLAY)
async def invoke(playground: Given[Playground], count: Count = 10) -> Invoked:
    """Call `/get`, `/delay/3` and `/status/500` in turn: all protections at work together."""
    return await playground.invoke(MIXED, count)


@get("/invoke_delay", **_PLAY)
async def invoke_delay(playground: Given[Playground], count: Count = 10) -> Invoked:
    """Call `/delay/3`, for which nobody waits that long: timeouts, tries, and the circuit that ends them."""
    return await playground.invoke(SLOW, count)


@get("/invoke_error", **_PLAY)
async def invoke_error(playground: Given[Playground], count: Count = 10) -> Invoked:
    """Call `/status/500`: three failures in a row open the circuit."""
    return await playground.invoke(FAILING, count)


@get("/stress", **_PLAY)
async def stress(playground: Given[Playground], seconds: Seconds = 5) -> Stressed:
    """Twelve callers at once, again and again: six find a place, and six calls a second are made."""
    return await playground.stress(seconds)


@post("/force_open", status_code=200, tags=["circuit"], before_request=ops_only)
async def force_open(playground: Given[Playground]) -> CircuitState:
    """Open the circuit, until it is reset."""
    return playground.force_open()


@post("/reset_circuit", status_code=200, tags=["circuit"], before_request=ops_only)
async def reset_circuit(playground: Given[Playground]) -> CircuitState:
    """Close the circuit, and forget what was."""
    return playground.reset()


@get("/circuit_state", tags=["circuit"])
async def circuit_state(playground: Given[Playground]) -> CircuitState:
    """How the circuit is, how many failures in a row there were, and since when it is open."""
    return playground.circuit()


@get("/logs", tags=["play"])
async def logs(journal: Given[Journal]) -> Response[str]:
    """What has happened, a line each, the newest last. Reload it while you play."""
    return Response(
        journal.text, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


handlers = [invoke, invoke_delay, invoke_error, stress, force_open, reset_circuit, circuit_state, logs]
