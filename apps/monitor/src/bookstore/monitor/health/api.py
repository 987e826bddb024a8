"""How everything is, over HTTP."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from bookstore.contracts.monitor import Changes, HealthStatus, Instances
from bookstore.monitor.health.watch import KEPT, Watch
from bookstore.service.docs import problems
from bookstore.service.problem import Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_TAGS = ["health"]

Most = Annotated[int, QueryParameter(ge=1, le=KEPT, description="How many at most.")]
Name = Annotated[str | None, QueryParameter(description="Leave out all services but this.")]


@get("/health_status", tags=_TAGS, responses=problems(503))
async def health_status(watch: Given[Watch]) -> HealthStatus:
    """How every service was when it was last asked."""
    if not watch.is_whole:
        raise Problem(503, "not-looked-yet", "the first look at the services is still under way")
    return watch.status()


@get("/v2/monitor/instances", tags=_TAGS, before_request=ops_only)
async def list_instances(watch: Given[Watch]) -> Instances:
    """How every process was when it was last asked."""
    return Instances(data=watch.instances())


@get("/v2/monitor/history", tags=_TAGS, before_request=ops_only)
async def list_changes(watch: Given[Watch], service: Name = None, limit: Most = 100) -> Changes:
    """The last changes of state since the monitor began, the newest first."""
    return Changes(data=watch.history(service, limit))


handlers = [health_status, list_instances, list_changes]
