"""The lab, over HTTP: what can be run, what runs, and the reports."""

import re
from typing import Any, Final

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody

from bookstore.contracts.lab import Catalogue, LogLines, NewRun, Reports, Run, Runs
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.lab.desk import LabDesk
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import SWITCHING
from bookstore.monitor.traces.model import is_trace_id
from bookstore.service.docs import problems
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only

_LOOK: dict[str, Any] = {"tags": ["lab"], "before_request": ops_only}
_SWITCH: dict[str, Any] = {"tags": ["lab"], "before_request": SWITCHING}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REPORT_HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""A report is shown, and does nothing: whatever stands in it, no script runs and nobody is asked."""


@get("/v2/monitor/lab/catalogue", **_LOOK, responses=problems(503))
async def show_catalogue(lab: Given[LabDesk]) -> Catalogue:
    """The scenarios and experiments that can be run."""
    return await lab.ask("GET", "/catalogue", Catalogue)


@get("/v2/monitor/lab/runs", **_LOOK, responses=problems(503))
async def list_runs(lab: Given[LabDesk]) -> Runs:
    """What was run, the newest first."""
    return await lab.ask("GET", "/runs", Runs)


@get("/v2/monitor/lab/runs/{run_id:str}", **_LOOK, responses=problems(404, 503))
async def show_run(run_id: FromPath[str], lab: Given[LabDesk]) -> Run:
    """One run, step by step."""
    return await lab.ask("GET", f"/runs/{_plain(run_id)}", Run)


@post(
    "/v2/monitor/lab/runs",
    status_code=202,
    **_SWITCH,
    responses=problems(401, 403, 404, 409, 415, 422, 503),
)
async def begin_run(
    request: Asked, data: JSONBody[NewRun], lab: Given[LabDesk], audit: Given[AuditBook]
) -> Run:
    """Run a scenario or an experiment; one at a time."""
    with audit.switching(Person(request).actor, "run", data.name[:100], {"kind": data.kind}):
        run = await lab.ask("POST", "/runs", Run, data)
    await lab.look()
    return run


@delete("/v2/monitor/lab/runs/{run_id:str}", **_SWITCH, responses=problems(401, 403, 404, 503))
async def stop_run(
    request: Asked, run_id: FromPath[str], lab: Given[LabDesk], audit: Given[AuditBook]
) -> None:
    """Stop a run; what it has changed is taken back."""
    with audit.switching(Person(request).actor, "stop", run_id[:100]):
        await lab.tell("DELETE", f"/runs/{_plain(run_id)}")


@get("/v2/monitor/lab/reports", **_LOOK, responses=problems(503))
async def list_reports(lab: Given[LabDesk]) -> Reports:
    """The reports, the newest first."""
    return await lab.ask("GET", "/reports", Reports)


@get("/v2/monitor/lab/reports/{report_id:str}", **_LOOK, include_in_schema=False)
async def show_report(report_id: FromPath[str], lab: Given[LabDesk]) -> Response[bytes]:
    """A report, as a page that can do nothing."""
    page = await lab.page(f"/reports/{_plain(report_id)}")
    return Response(page, media_type="text/html", headers=_REPORT_HEADERS)


@get(
    "/v2/monitor/traces/{trace_id:str}/logs",
    tags=["traces"],
    before_request=ops_only,
    responses=problems(503),
)
async def show_logs(trace_id: FromPath[str], lab: Given[LabDesk]) -> LogLines:
    """What was logged about a trace; the desk has the logs of all services."""
    if not is_trace_id(trace_id):
        raise Problem(404, "not-found", "that is no trace")
    return await lab.ask("GET", f"/logs/{trace_id}", LogLines)


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Problem(404, "not-found", "there is nothing of that name")
    return name


handlers = [
    show_catalogue, list_runs, show_run, begin_run, stop_run, list_reports, show_report, show_logs,
]  # fmt: skip
