"""Failures, over HTTP."""

import re
from typing import Any, Final

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from bookstore.contracts.faults import Fault, Faults, NewFault
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.faults.desk import FaultDesk
from bookstore.monitor.faults.model import no_such_fault
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import SWITCHING
from bookstore.service.docs import problems
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_URL: Final = "/v2/monitor/faults"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_SWITCH: dict[str, Any] = {"tags": ["switches"], "before_request": SWITCHING}


@get(_URL, tags=["console"], before_request=ops_only)
async def show_faults(fault_desk: Given[FaultDesk]) -> Faults:
    """Failures that somebody has switched on, when they end by themselves, and what else there could be."""
    return await fault_desk.show()


@post(_URL, **_SWITCH, responses=problems(401, 403, 409, 415, 422, 503))
async def switch_on(
    request: Asked, data: JSONBody[NewFault], fault_desk: Given[FaultDesk], audit: Given[AuditBook]
) -> Fault:
    """Let something fail for so many seconds. Only where `FAULTS_ALLOWED` says so."""
    actor = Person(request).actor
    told = {**data.parameters, "mode": data.mode, "seconds": data.seconds}
    with audit.switching(actor, "fault", data.service, told):
        return await fault_desk.switch_on(data, actor.who, _URL)


@delete(f"{_URL}/{{fault_id:str}}", **_SWITCH, responses=problems(401, 403, 404, 503))
async def end_fault(
    request: Asked, fault_id: FromPath[str], fault_desk: Given[FaultDesk], audit: Given[AuditBook]
) -> None:
    """End a failure before its time."""
    if not _ID.fullmatch(fault_id):
        raise no_such_fault()
    with audit.switching(Person(request).actor, "end-fault", fault_id):
        await fault_desk.end(fault_id)


@delete(_URL, **_SWITCH, responses=problems(401, 403, 503))
async def end_all_faults(request: Asked, fault_desk: Given[FaultDesk], audit: Given[AuditBook]) -> None:
    """End all failures."""
    with audit.switching(Person(request).actor, "end-fault", "all"):
        await fault_desk.end_all()


handlers = [show_faults, switch_on, end_fault, end_all_faults]
