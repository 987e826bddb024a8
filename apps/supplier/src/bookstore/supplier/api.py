"""What the supplier answers over HTTP, beside the hot path in `front.py`."""

import asyncio
import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from bookstore.contracts.supplier import (
    CurrentMode,
    Effects,
    FailureMode,
    ModeChanged,
    ValidationRequest,
    Verdict,
)
from bookstore.service.docs import problems
from bookstore.service.port import PortUnavailable
from bookstore.service.problem import RETRY_AFTER, Problem
from bookstore.service.provide import Given
from bookstore.supplier.desk import Desk
from bookstore.supplier.switch import Switch
from bookstore.supplier.tally import Tally

LONGEST_DELAY = 30.0
"""Seconds that /delay can be asked for."""
LOWEST_CODE, HIGHEST_CODE = 200, 599
SERVICE_UNAVAILABLE = 503

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_CODE = re.compile(r"[0-9]{3}")

OrderName = Annotated[str | None, QueryParameter(description="Leave out all orders but this.")]
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", description="Names this piece of work.")]


@post("/validate", status_code=200, tags=["orders"], responses=problems(400, 413, 415, 422, 503))
async def validate(
    data: JSONBody[ValidationRequest], desk: Given[Desk], key: Key = None
) -> Response[Verdict]:
    """Judge an order. A key that was used before gets the verdict that it got then.

    On the main port the failure mode has its way with this call; here it is answered as in `normal`.
    """
    answer = desk.settle(desk.take(data, key))
    return Response(answer.verdict, headers=answer.headers)


@post("/set_failure_mode", status_code=200, tags=["failures"], responses=problems(400, 415, 503))
async def set_failure_mode(data: JSONBody[FailureMode], switch: Given[Switch]) -> ModeChanged:
    """Fail like this from now on, or `normal` to be well again; `for` ends the mode by itself."""
    try:
        await switch.turn(data)
    except PortUnavailable as error:
        raise Problem(503, "port-taken", f"the mode stays down: {error}") from error
    return ModeChanged(**msgspec.structs.asdict(switch.current))


@get("/get_failure_mode", tags=["failures"])
async def get_failure_mode(switch: Given[Switch]) -> CurrentMode:
    """The mode that holds, its parameters, and when it will end by itself."""
    return switch.current


@get("/effects", tags=["failures"])
async def effects(tally: Given[Tally], order_id: OrderName = None) -> Effects:
    """What was done, by order: calls that arrived, and verdicts that were reached. One order, or all."""
    return tally.effects(order_id)


@get("/get", tags=["echo"])
async def echo(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """What was asked."""
    return {
        "args": {
            name: values[0] if len(values) == 1 else values
            for name, values in request.query_params.dict().items()
        },
        "headers": dict(request.headers),
        "origin": request.client.host if request.client else "",
        "url": str(request.url),
    }


@get("/delay/{seconds:str}", tags=["echo"], responses=problems(400))
async def delay(seconds: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The same, later: 0 to 30 seconds."""
    waited = float(seconds) if _NUMBER.fullmatch(seconds) else -1.0
    if not 0 <= waited <= LONGEST_DELAY:
        raise Problem(400, "validation", f"seconds: must be a number from 0 to {LONGEST_DELAY:g}")
    await asyncio.sleep(waited)
    return await echo.fn(request)


@get("/status/{code:str}", tags=["echo"], responses=problems(400))
async def status(code: FromPath[str]) -> Response[bytes]:
    """An empty answer with this status: 200 to 599."""
    number = int(code) if _CODE.fullmatch(code) else 0
    if not LOWEST_CODE <= number <= HIGHEST_CODE:
        raise Problem(400, "validation", f"code: must be a number from {LOWEST_CODE} to {HIGHEST_CODE}")
    headers = {"Retry-After": str(RETRY_AFTER)} if number == SERVICE_UNAVAILABLE else {}
    return Response(b"", status_code=number, headers=headers, media_type="text/plain")


handlers: list[Any] = [validate, set_failure_mode, get_failure_mode, effects, echo, delay, status]
