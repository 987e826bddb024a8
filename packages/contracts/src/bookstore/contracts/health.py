"""How a service says how it is, and who it is."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bookstore.contracts.base import Wire

Condition = Literal["healthy", "degraded", "unhealthy", "draining"]


class QueueHealth(Wire, frozen=True, kw_only=True):
    """How much work orders owes, as its /health shows it."""

    unfinished: int
    oldest_age_seconds: float
    parked: int
    dead: int


class Health(Wire, frozen=True, kw_only=True):
    """What /health, /health/live and /health/ready answer."""

    status: Condition
    services: dict[str, Literal["healthy", "unhealthy"]]
    queue: QueueHealth | UnsetType = UNSET


class WhoAmI(Wire, frozen=True, kw_only=True):
    """What /whoami answers: which process of which service took the request."""

    service: str
    version: str
    hostname: str
    pid: int
    instance: str
