"""The queue, over HTTP."""

from typing import Any

from litestar import get, post
from litestar.params import JSONBody

from bookstore.contracts.console import DeadJobChoice
from bookstore.contracts.monitor import Queue
from bookstore.contracts.queue import JobHistory, Purged, QueueStatus, Redriven
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.queue.desk import QueueDesk
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import SWITCHING
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_SWITCH: dict[str, Any] = {
    "status_code": 200,
    "tags": ["switches"],
    "before_request": SWITCHING,
    "responses": problems(401, 403, 404, 409, 415, 422, 503),
}


@get("/v2/monitor/queue", tags=["console"], before_request=ops_only)
async def queue(request: Asked, queue_desk: Given[QueueDesk]) -> Queue:
    """How much orders are owed, and the newest dead letters."""
    return await queue_desk.show(Person(request))


@get(
    "/v2/monitor/queue/jobs/{job_id:str}",
    tags=["console"],
    before_request=ops_only,
    responses=problems(404, 503),
)
async def show_job(request: Asked, job_id: PathId, queue_desk: Given[QueueDesk]) -> JobHistory:
    """A job, with all that has happened to its order."""
    path = f"/v1/queue/jobs/{identity('job', job_id)}"
    return await queue_desk.ask(Person(request), "GET", path, JobHistory)


@post("/v2/monitor/queue/redrive", **_SWITCH)
async def redrive(
    request: Asked,
    data: JSONBody[DeadJobChoice],
    queue_desk: Given[QueueDesk],
    audit: Given[AuditBook],
) -> Redriven:
    """Try a dead job again, or all of them (`null`)."""
    person = Person(request)
    with audit.switching(person.actor, "redrive", "queue", {"job_id": data.job_id}):
        return await queue_desk.ask(person, "POST", _verb(data, "redrive"), Redriven)


@post("/v2/monitor/queue/purge", **_SWITCH)
async def purge(
    request: Asked,
    data: JSONBody[DeadJobChoice],
    queue_desk: Given[QueueDesk],
    audit: Given[AuditBook],
) -> Purged:
    """Put a dead job away for good, or all of them (`null`)."""
    person = Person(request)
    with audit.switching(person.actor, "purge", "queue", {"job_id": data.job_id}):
        return await queue_desk.ask(person, "POST", _verb(data, "purge"), Purged)


@post("/v2/monitor/queue/pause", **_SWITCH)
async def pause(request: Asked, queue_desk: Given[QueueDesk], audit: Given[AuditBook]) -> QueueStatus:
    """Begin nothing new; orders are taken as ever."""
    person = Person(request)
    with audit.switching(person.actor, "pause", "queue"):
        return await queue_desk.ask(person, "POST", "/v1/queue/pause", QueueStatus)


@post("/v2/monitor/queue/resume", **_SWITCH)
async def resume(request: Asked, queue_desk: Given[QueueDesk], audit: Given[AuditBook]) -> QueueStatus:
    """Go on after a pause."""
    person = Person(request)
    with audit.switching(person.actor, "resume", "queue"):
        return await queue_desk.ask(person, "POST", "/v1/queue/resume", QueueStatus)


def _verb(choice: DeadJobChoice, verb: str) -> str:
    return f"/v1/queue/{verb}" if choice.job_id is None else f"/v1/queue/jobs/{choice.job_id}/{verb}"


handlers = [queue, show_job, redrive, purge, pause, resume]
