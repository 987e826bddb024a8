"""The audit, over HTTP."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from bookstore.contracts.console import Audit
from bookstore.monitor.audit.book import KEPT, AuditBook
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

Most = Annotated[int, QueryParameter(ge=1, le=KEPT, description="How many at most.")]


@get("/v2/monitor/audit", tags=["console"], before_request=ops_only)
async def show_audit(audit: Given[AuditBook], limit: Most = KEPT) -> Audit:
    """What was switched since the monitor began, the newest first."""
    return audit.show(limit)


handlers = [show_audit]
