"""Trying things out, over HTTP."""

from litestar import post
from litestar.params import JSONBody

from bookstore.contracts.console import Attempt, Tried
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import SWITCHING
from bookstore.monitor.trials.trials import Trials
from bookstore.service.docs import problems
from bookstore.service.problem import Asked
from bookstore.service.provide import Given


@post(
    "/v2/monitor/try",
    status_code=200,
    tags=["switches"],
    before_request=SWITCHING,
    responses=problems(401, 403, 409, 415, 422, 503),
)
async def try_out(
    request: Asked, data: JSONBody[Attempt], trials: Given[Trials], audit: Given[AuditBook]
) -> Tried:
    """Do through the gateway what a customer does, and show every answer with its time and trace."""
    with audit.switching(Person(request).actor, "try", data.what):
        return await trials.run(data.what)


handlers = [try_out]
