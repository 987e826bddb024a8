"""How a service says how it is, and who it is."""

from typing import Literal

from bookstore.contracts.base import Wire

Condition = Literal["healthy", "degraded", "unhealthy", "draining"]


class Health(Wire, frozen=True, kw_only=True):
    """What /health, /health/live and /health/ready answer."""

    status: Condition
    services: dict[str, Literal["healthy", "unhealthy"]]


class WhoAmI(Wire, frozen=True, kw_only=True):
    """What /whoami answers: which process of which service took the request."""

    service: str
    version: str
    hostname: str
    pid: int
    instance: str
