"""A service put together: an app's handlers, with everything round them that all services share."""

import os
import platform
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from bookstore.contracts.health import QueueHealth, WhoAmI
from bookstore.service import docs, health
from bookstore.service.access import AccessLog
from bookstore.service.body import StrictRequest
from bookstore.service.circuits import Breaker, Circuits
from bookstore.service.circuits import handlers as circuit_handlers
from bookstore.service.health import Checkup, Dependency
from bookstore.service.metrics import Metrics
from bookstore.service.options import options_for
from bookstore.service.problem import handlers as problem_handlers
from bookstore.service.provide import constant
from bookstore.service.pulse import pulse
from bookstore.service.settings import Settings
from bookstore.service.shortcut import Shortcut
from bookstore.service.telemetry import Telemetry
from bookstore.service.tokens import Access
from bookstore.service.tracing import Tracer
from bookstore.service.tracing.metrics import SpanMetrics
from bookstore.service.unread import closing_unread

if TYPE_CHECKING:
    from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

    from bookstore.service.door import Express

_APART = ("/health", "/metrics", "/docs", "/openapi", "/v2/circuits")
"""Paths of which nobody wants to see numbers before somebody has asked for them."""

Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


class Service:
    """One service, ready to serve: an ASGI callable and the lifespan round it.

    Args:
        name: The business noun: "books".
        version: The version of the app's distribution.
        settings: What the app was told.
        handlers: The app's own Litestar handlers and routers.
        provide: Objects that handlers may ask for by name.
        dependencies: What the app needs, for its health.
        lifespan: Context managers to hold open while serving; entered in order, left in reverse.
        access: Tells who asks, for the hooks of `bookstore.service.tokens.callers`.
        front: Wraps the router in a plain ASGI app that sees each request first.
        header_timeout: Seconds in which a request's head has to be there, and for which a connection may be
            idle between two requests; longer than clients of ours keep theirs.
        alive: Whether what the process does beside serving goes on; else `/health/live` says 503.
        queue: The work that is owed, for `/health`.
        port_setting: The setting with the port to serve on, for an app that has several.
        circuits: What it calls others through, by whom; shown at `/v2/circuits`, and switched there by ops.
        own_server: Whether our own server reads its requests (`door`), instead of Granian.
        shortcuts: Those of the handlers that are called past the router, as they are called most.
    """

    def __init__(
        self,
        name: str,
        version: str,
        settings: Settings,
        *,
        handlers: "Sequence[ControllerRouterHandler]" = (),
        provide: Mapping[str, Any] | None = None,
        dependencies: Sequence[Dependency] = (),
        lifespan: Sequence[Lifespan] = (),
        access: Access | None = None,
        front: "Callable[[ASGIApp], ASGIApp] | None" = None,
        header_timeout: float = 30.0,
        alive: Callable[[], bool] = lambda: True,
        queue: Callable[[], QueueHealth] | None = None,
        port_setting: str = "PORT",
        circuits: Callable[[], Mapping[str, Breaker]] | None = None,
        own_server: bool = False,
        shortcuts: Sequence[HTTPRouteHandler] = (),
    ) -> None:
        self.own_server = own_server
        self.header_timeout = header_timeout
        self.name = name
        self.version = version
        self.settings = settings
        self.port_setting = port_setting
        self.port: int = getattr(settings, port_setting.lower())
        self.instance = settings.instance or f"{platform.node()}-{os.getpid()}"
        self.checkup = Checkup(dependencies, alive=alive, queue=queue)
        self.metrics = Metrics(name, version)
        self.tracer = (
            None if settings.otel_sdk_disabled else Tracer(name, version, self.instance, settings.otel)
        )
        self.metrics.registry.register(SpanMetrics(self.tracer))
        self._lifespan = lifespan

        objects: dict[str, Any] = {"checkup": self.checkup, **(provide or {})}
        if circuits:
            objects["circuits"] = Circuits(circuits)
        self.router = self._routed([*handlers, *self._operations(circuits=bool(circuits))], objects)
        self.router.state["access"] = access
        self._expect_requests()
        routes = _head_as_get(Shortcut(self.router, shortcuts, objects) if shortcuts else self.router)
        self._access_log = AccessLog(name, self.instance) if settings.access_log else None
        self.asgi = Telemetry(
            closing_unread(front(routes) if front else routes),
            self.metrics if settings.metrics_enabled else None,
            self._access_log,
            self.tracer,
        )
        self.express: Express | None = None
        """Who is offered plain requests first, where our own server reads them."""

    def _routed(self, handlers: "Sequence[ControllerRouterHandler]", objects: Mapping[str, Any]) -> Litestar:
        return Litestar(
            [*options_for(handlers), *handlers],
            dependencies={key: constant(value) for key, value in objects.items()},
            exception_handlers=problem_handlers,
            request_class=StrictRequest,
            request_max_body_size=self.settings.max_body or None,
            openapi_config=docs.config(f"Bookstore {self.name}", self.version),
            plugins=[docs.Values()],
            logging_config=None,
            debug=False,
        )

    def _operations(self, *, circuits: bool) -> list[Any]:
        """What every service answers; of circuits only one that calls others through some."""
        card = WhoAmI(
            service=self.name,
            version=self.version,
            hostname=platform.node(),
            pid=os.getpid(),
            instance=self.instance,
        )

        @get(["/", "/whoami"], tags=["operations"])
        async def whoami() -> WhoAmI:
            """Which process of which service took this request."""
            return card

        @get("/metrics", include_in_schema=False)
        async def metrics(request: Request[Any, Any, State]) -> Response[bytes]:
            names = request.query_params.getall("name[]", [])
            text, content_type = self.metrics.exposition(request.headers.get("accept", ""), names)
            return Response(text, media_type=content_type)

        return [
            *(whoami, health.health, health.live, health.ready, docs.openapi),
            *(circuit_handlers() if circuits else ()),
            *([metrics] if self.settings.metrics_enabled else ()),
        ]

    def _expect_requests(self) -> None:
        """Have the series of all routes in the metrics from the start."""
        self.metrics.requests.expect(
            (route.path_format, method)
            for route in self.router.routes
            for method in getattr(route, "methods", ())
            if method != "OPTIONS" and not route.path.startswith(_APART)
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold open all that the app needs; what fails to open undoes what was opened before."""
        async with AsyncExitStack() as stack:
            if self.tracer:
                await stack.enter_async_context(self.tracer)
            # The router's comes last: it would wrap what these raise into a group of errors.
            for part in self._lifespan:
                await stack.enter_async_context(part())
            await stack.enter_async_context(self.router.lifespan())
            if self.settings.metrics_enabled:
                await stack.enter_async_context(pulse(self.metrics.loop_delay.observe))
            yield
        if self._access_log:
            self._access_log.flush()


def _head_as_get(router: "ASGIApp") -> "ASGIApp":
    """A HEAD is a GET whose body the server leaves out: routes need to know only GET."""

    async def routes(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            cast("dict[str, Any]", scope)["method"] = "GET"
        await router(scope, receive, send)

    return routes
