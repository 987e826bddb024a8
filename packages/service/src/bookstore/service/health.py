"""Health: alive, ready, and how each dependency is, by name."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec

from bookstore.contracts.health import Condition, Health, QueueHealth
from bookstore.service.problem import RETRY_AFTER
from bookstore.service.provide import Given

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that one dependency has to answer a health check."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a service needs: `check` returns when it is well, and raises when it isn't."""

    name: str
    check: Callable[[], Awaitable[object]]
    required: bool = True
    """Whether the service can do nothing without it: only then is it part of readiness."""


class Checkup:
    """The health of one service, asked afresh each time."""

    def __init__(
        self,
        dependencies: Sequence[Dependency],
        *,
        alive: Callable[[], bool] = lambda: True,
        queue: Callable[[], QueueHealth] | None = None,
    ) -> None:
        self._dependencies = dependencies
        self._queue = queue
        self.alive = alive
        self.leaving = asyncio.Event()
        """Set when the service begins to leave: answers without an end are to end now."""

    @property
    def draining(self) -> bool:
        """Whether the service is about to leave."""
        return self.leaving.is_set()

    async def deep(self) -> Health:
        """Every dependency by name; unhealthy only when a required one is."""
        health = await self._examine(self._dependencies)
        return msgspec.structs.replace(health, queue=self._queue()) if self._queue else health

    async def ready(self) -> Health:
        """Whether to send requests here: what is required is there, and the service isn't leaving."""
        health = await self._examine([each for each in self._dependencies if each.required])
        return Health(status="draining", services=health.services) if self.draining else health

    async def _examine(self, dependencies: Sequence[Dependency]) -> Health:
        well = await asyncio.gather(*(_is_well(each) for each in dependencies))
        services: dict[str, Literal["healthy", "unhealthy"]] = {
            each.name: "healthy" if fine else "unhealthy"
            for each, fine in zip(dependencies, well, strict=True)
        }
        status: Condition = "healthy"
        for each, fine in zip(dependencies, well, strict=True):
            if not fine:
                status = "unhealthy" if each.required or status == "unhealthy" else "degraded"
        return Health(status=status, services=services)


async def _is_well(dependency: Dependency) -> bool:
    # A check is left behind rather than cancelled: what it waits for may not listen (see database.py).
    check = asyncio.ensure_future(dependency.check())
    done, _ = await asyncio.wait({check}, timeout=PATIENCE)
    if not done:
        check.add_done_callback(lambda late: late.cancelled() or late.exception())
        return False
    error = check.exception()
    if error is not None:
        logger.warning("dependency is not well", extra={"dependency": dependency.name, "cause": str(error)})
    return error is None


def answer(health: Health) -> Response[Health]:
    """200 where requests can be served, 503 where they can't."""
    if health.status in ("healthy", "degraded"):
        return Response(health)
    return Response(health, status_code=503, headers={"Retry-After": str(RETRY_AFTER)})


_ILL = {503: ResponseSpec(Health, description="Something that it needs isn't well.", generate_examples=False)}


@get("/health", tags=["operations"], responses=_ILL)
async def health(checkup: Given[Checkup]) -> Response[Health]:
    """How the service and each of its dependencies are."""
    return answer(await checkup.deep())


@get("/health/live", tags=["operations"], responses=_ILL)
async def live(checkup: Given[Checkup]) -> Response[Health]:
    """Whether the process is alive; says nothing about anything else."""
    return answer(Health(status="healthy" if checkup.alive() else "unhealthy", services={}))


@get("/health/ready", tags=["operations"], responses=_ILL)
async def ready(checkup: Given[Checkup]) -> Response[Health]:
    """Whether requests should come here."""
    return answer(await checkup.ready())
