"""The picture, over HTTP."""

from litestar import get

from bookstore.contracts.monitor import Policies, Topology
from bookstore.monitor.survey.picture import Painter
from bookstore.monitor.survey.survey import Survey
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_TAGS = ["console"]


@get("/v2/monitor/topology", tags=_TAGS, before_request=ops_only)
async def topology(painter: Given[Painter], survey: Given[Survey]) -> Topology:
    """Services and the calls between them, with rates of the last ten seconds, queue and faults."""
    await survey.wanted()
    return painter.topology()


@get("/v2/monitor/circuits", tags=_TAGS, before_request=ops_only)
async def circuits(painter: Given[Painter], survey: Given[Survey]) -> Policies:
    """Every circuit, its places, retries and limits, process by process."""
    await survey.wanted()
    return painter.policies()


handlers = [topology, circuits]
