"""The queue over HTTP, for operators."""

from litestar import get, post

from bookstore.contracts.queue import DeadJobs, JobHistory, Purged, QueueStatus, Redriven
from bookstore.orders.queue.desk import Desk
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, plainly_asked
from bookstore.service.problem import Problem, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import Together, ops_only

_TAGS = ["queue"]
_page_for_ops = Together(ops_only, plainly_asked)


@get("/v1/queue", tags=_TAGS, before_request=ops_only)
async def read_queue(desk: Given[Desk]) -> QueueStatus:
    """How many jobs there are, and how they stand."""
    return await desk.status()


@get("/v1/queue/dead", tags=_TAGS, before_request=_page_for_ops)
async def list_dead(desk: Given[Desk], limit: Limit = 20, offset: Offset = 0) -> DeadJobs:
    """Jobs that were given up, the newest first."""
    total, jobs = await desk.dead(limit, offset)
    return DeadJobs(data=jobs, total=total, limit=limit, offset=offset)


@get("/v1/queue/jobs/{job_id:str}", tags=_TAGS, before_request=ops_only)
async def read_job(job_id: PathId, desk: Given[Desk]) -> JobHistory:
    """A job, with all that has happened to its order."""
    return await _found(desk, job_id)


@post(
    "/v1/queue/jobs/{job_id:str}/redrive",
    status_code=200,
    tags=_TAGS,
    before_request=ops_only,
    responses=problems(409),
)
async def redrive_job(job_id: PathId, desk: Given[Desk]) -> Redriven:
    """Try a dead job again."""
    job = (await _found(desk, job_id)).job
    return Redriven(redriven=await desk.redrive([job.id]) or _not_dead(job.id))


@post(
    "/v1/queue/jobs/{job_id:str}/purge",
    status_code=200,
    tags=_TAGS,
    before_request=ops_only,
    responses=problems(409),
)
async def purge_job(job_id: PathId, desk: Given[Desk]) -> Purged:
    """Put a dead job away for good."""
    job = (await _found(desk, job_id)).job
    return Purged(purged=await desk.purge([job.id]) or _not_dead(job.id))


@post("/v1/queue/redrive", status_code=200, tags=_TAGS, before_request=ops_only)
async def redrive_all(desk: Given[Desk]) -> Redriven:
    """Try all dead jobs again."""
    return Redriven(redriven=await desk.redrive())


@post("/v1/queue/purge", status_code=200, tags=_TAGS, before_request=ops_only)
async def purge_all(desk: Given[Desk]) -> Purged:
    """Put all dead jobs away for good."""
    return Purged(purged=await desk.purge())


@post("/v1/queue/pause", status_code=200, tags=_TAGS, before_request=ops_only)
async def pause(desk: Given[Desk]) -> QueueStatus:
    """Begin nothing new; orders are taken as ever."""
    await desk.pause()
    return await desk.status()


@post("/v1/queue/resume", status_code=200, tags=_TAGS, before_request=ops_only)
async def resume(desk: Given[Desk]) -> QueueStatus:
    """Go on after a pause."""
    await desk.resume()
    return await desk.status()


async def _found(desk: Desk, job_id: str) -> JobHistory:
    number = identity("job", job_id)
    history = await desk.show(number)
    if history is None:
        raise not_found("job", number)
    return history


def _not_dead(job_id: int) -> int:
    raise Problem(409, "not-dead", f"job {job_id} is not dead")


handlers = [
    read_queue, list_dead, read_job, redrive_job, purge_job, redrive_all, purge_all, pause, resume,
]  # fmt: skip
