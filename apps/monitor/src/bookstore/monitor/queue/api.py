"""The queue, over HTTP."""

from litestar import get

from bookstore.contracts.monitor import Queue
from bookstore.monitor.queue.desk import QueueDesk
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only


@get("/v2/monitor/queue", tags=["console"], before_request=ops_only)
async def queue(request: Asked, queue_desk: Given[QueueDesk]) -> Queue:
    """How much orders are owed, and the newest dead letters."""
    headers = dict(request.scope["headers"])
    return await queue_desk.show(headers.get(b"authorization"))


handlers = [queue]
