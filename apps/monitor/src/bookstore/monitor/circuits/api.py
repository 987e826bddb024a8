"""Switching circuits, over HTTP. How they are is shown by `survey/`."""

from litestar import post
from litestar.params import JSONBody

from bookstore.contracts.console import CircuitSwitch, SwitchedCircuits
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.circuits.desk import CircuitDesk
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import SWITCHING
from bookstore.service.docs import problems
from bookstore.service.problem import Asked
from bookstore.service.provide import Given


@post(
    "/v2/monitor/circuits",
    status_code=200,
    tags=["switches"],
    before_request=SWITCHING,
    responses=problems(401, 403, 404, 415, 422, 503),
)
async def switch_circuit(
    request: Asked,
    data: JSONBody[CircuitSwitch],
    circuit_desk: Given[CircuitDesk],
    audit: Given[AuditBook],
) -> SwitchedCircuits:
    """Force a circuit open, or reset it, in one process of a service or in all of them."""
    person = Person(request)
    target = f"{data.instance or data.service}/{data.dependency}"
    with audit.switching(person.actor, "circuit", target, {"action": data.action}):
        return SwitchedCircuits(data=await circuit_desk.switch(person, data))


handlers = [switch_circuit]
