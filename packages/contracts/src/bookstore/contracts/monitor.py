"""How the system is, as the monitor tells it."""

from datetime import datetime
from typing import Literal

from bookstore.contracts.base import Wire
from bookstore.contracts.faults import Fault
from bookstore.contracts.health import QueueHealth
from bookstore.contracts.lab import Run
from bookstore.contracts.queue import DeadJobs, QueueStatus

Wellbeing = Literal["HEALTHY", "DEGRADED", "UNHEALTHY", "DOWN"]
"""Well; late, or without something it can do without; answering errors, or nothing; not to be reached."""


class ServiceHealth(Wire, frozen=True, kw_only=True):
    """How one service was when it was last asked."""

    status: Wellbeing
    response_time_ms: float | None
    """Until the answer, or how long it has been waited for by now; None where none is to be had."""
    checked_at: datetime
    detail: str


class HealthStatus(Wire, frozen=True, kw_only=True):
    """What GET /health_status answers."""

    timestamp: datetime
    services: dict[str, ServiceHealth]


class InstanceHealth(ServiceHealth, frozen=True, kw_only=True):
    """How one process of a service was when it was last asked."""

    service: str
    instance: str
    since: datetime
    """Since when it is in this state."""


class Instances(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/instances answers."""

    data: list[InstanceHealth]


class Change(Wire, frozen=True, kw_only=True):
    """A change of an instance's state; the first is from None."""

    id: str
    service: str
    instance: str
    before: Wellbeing | None
    after: Wellbeing
    at: datetime
    detail: str


class Changes(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/history answers, the newest first."""

    data: list[Change]


class Node(Wire, frozen=True, kw_only=True):
    """A service or a store on the map. What isn't known, or not any more, is None."""

    service: str
    kind: Literal["service", "worker", "store"]
    status: Wellbeing | None
    instances: int
    requests_per_second: float | None
    error_share: float | None
    """Which share of the answers were errors of its own (5xx)."""
    p95_ms: float | None


class Edge(Wire, frozen=True, kw_only=True):
    """Calls from one service to another, or that a service uses a store: of those there are no numbers."""

    source: str
    target: str
    calls_per_second: float | None
    success_share: float | None
    p95_ms: float | None
    circuit: str | None
    """The worst state of a circuit on the way; None where there is none."""


class Promise(Wire, frozen=True, kw_only=True):
    """How a promise is kept, by what the monitor has seen: since somebody looked on, an hour at most."""

    name: str
    service: str
    says: str
    objective: float
    """Which share has to be good."""
    budget_left: float | None
    """1.0 while nothing was bad, 0.0 when as much was as may be, and less beyond; None of nothing."""
    burn: float | None
    """How many times as fast as it may the budget is used up, over the last minute; None of nothing."""
    window_seconds: float
    """Over how long."""


class Topology(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/topology answers: the map, as of now."""

    at: datetime
    services: list[Node]
    edges: list[Edge]
    orders_per_second: float | None
    queue: QueueHealth | None
    faults: list[Fault]
    promises: list[Promise]


class Circuit(Wire, frozen=True, kw_only=True):
    """How one process protects itself from one that it depends on. Counts are since that process began."""

    service: str
    instance: str
    dependency: str
    state: str | None
    opened: int
    rejected: int
    in_flight: int | None
    waiting: int | None
    turned_away: int
    """Calls refused because all places were taken."""
    retries: int
    retries_over_budget: int
    timeouts: int
    failures: int
    last_failure_at: datetime | None
    """When the monitor last saw the number of failures grow."""


class Limiter(Wire, frozen=True, kw_only=True):
    """What a limit has said since its process began."""

    service: str
    instance: str
    scope: str
    allowed: int
    refused: int
    degraded: int
    """Decisions without the store that all processes share."""


class Policies(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/circuits answers."""

    at: datetime
    circuits: list[Circuit]
    limiters: list[Limiter]


class Picture(Wire, frozen=True, kw_only=True):
    """An event of type `picture`: all that the console shows at a glance."""

    instances: list[InstanceHealth]
    topology: Topology
    policies: Policies
    run: Run | None
    """What the lab's desk runs now, or ran last; None where there is no desk, or nothing was run."""


class TraceSummary(Wire, frozen=True, kw_only=True):
    """A trace in a list."""

    trace_id: str
    name: str
    """Of its root; of the earliest span that is here, while the root isn't."""
    service: str
    started_at: datetime
    duration_ms: float
    spans: int
    services: list[str]
    errors: int


class Traces(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/traces answers, the newest first."""

    data: list[TraceSummary]
    kept: int
    """Traces that are in memory."""
    bytes: int
    dropped_spans: int
    """Spans that were refused or had no room, since the monitor began."""


class TraceEvent(Wire, frozen=True, kw_only=True):
    """What happened in the course of a span."""

    name: str
    offset_ms: float
    attributes: dict[str, str]


class TraceSpan(Wire, frozen=True, kw_only=True):
    """One span of a waterfall."""

    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    started_at: datetime
    offset_ms: float
    """Since the trace began."""
    duration_ms: float
    error: bool
    attributes: dict[str, str]
    events: list[TraceEvent]
    links: list[str]
    """Traces that this one has to do with."""


class Trace(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/traces/{trace_id} answers: the waterfall, in the order of time."""

    summary: TraceSummary
    spans: list[TraceSpan]


class Queue(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/queue answers. What orders doesn't tell at the moment is None."""

    known: QueueHealth | None
    """As orders, or its worker, told last."""
    status: QueueStatus | None
    dead: DeadJobs | None
