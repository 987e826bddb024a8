"""The traces of one service: which are recorded, and where they go."""

import asyncio
import logging
import os
import platform
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Self

from bookstore.service.context import RequestContext
from bookstore.service.otlp import encode
from bookstore.service.tracing.exporter import Exporter
from bookstore.service.tracing.settings import read
from bookstore.service.tracing.span import Span

if TYPE_CHECKING:
    from bookstore.service.otlp.encode import Value

logger = logging.getLogger(__name__)

_ODD: Final = "13579bdf"
"""The digits in which the flag "sampled" is set."""
_SCOPE: Final = "bookstore.service"
_MOST_TOLD: Final = 20


class Tracer:
    """Decides about each request, and begins the span of those that are recorded.

    Args:
        service: What the service is called.
        version: Its version.
        instance: Which of its processes this is.
        given: The `OTEL_*` variables.
    """

    def __init__(self, service: str, version: str, instance: str, given: Mapping[str, str]) -> None:
        settings = read(given)
        self._problems = settings.problems
        self._sampler = settings.sampler
        self.exporter: Exporter | None = None
        """Takes the spans, if there is somebody to send them to."""
        if settings.url:
            sender: dict[str, Value] = {
                "service.name": service,
                "service.version": version,
                "service.instance.id": instance,
                "telemetry.sdk.name": "bookstore",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.version": version,
                "host.name": platform.node(),
                "process.pid": os.getpid(),
                **settings.attributes,
            }
            self.exporter = Exporter(settings, encode.resource(sender, _SCOPE))

    def begin(
        self, request: RequestContext, name: str, kind: int, *, links: Sequence[bytes] = ()
    ) -> Span | None:
        """Decide about a request whose ids are known; gives its span if it is recorded.

        What has a parent, or links to what was before it, goes by what was decided there. While the receiver
        is away, and as many spans wait as may, a request costs no more than one that isn't recorded.
        """
        decided = request.flags[-1] in _ODD if request.parent_id or links else None
        sampled = self._sampler(request.trace_id, decided)
        if sampled is not decided:
            request.flags = "01" if sampled else "00"
        if not sampled or self.exporter is None or self.exporter.turns_away():
            return None
        span = Span(
            self.exporter.send,
            name,
            kind,
            trace_id=request.trace_id,
            span_id=request.span_id,
            parent_id=request.parent_id,
            of_caller=True,
            tracestate=request.tracestate,
            links=links,
        )
        request.span = span
        return span

    async def __aenter__(self) -> Self:
        """Send spans for as long as the block lasts, and those that are left after it."""
        for problem in self._problems[:_MOST_TOLD]:
            logger.warning("a setting of traces is passed over", extra={"problem": problem})
        here.set(self)
        if self.exporter is not None:
            self.exporter.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.exporter is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.exporter.close)


here: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
"""The tracer of the service whose task this is: for work that begins by itself, such as a job."""
