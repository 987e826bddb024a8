"""How the system is, as the monitor tells it."""

from datetime import datetime
from typing import Literal

from bookstore.contracts.base import Wire

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
