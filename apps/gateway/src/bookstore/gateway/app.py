"""The gateway put together."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from bookstore.gateway.proxy import Proxy
from bookstore.gateway.route import TABLE, Routes
from bookstore.gateway.settings import GatewaySettings
from bookstore.service.app import Service
from bookstore.service.health import Dependency
from bookstore.service.upstream import Upstream, UpstreamError

_METHODS = ("GET", "POST", "PUT", "DELETE")


def create_app(settings: GatewaySettings) -> Service:
    """The gateway with these settings; nothing is opened yet."""
    urls = {
        "accounts": settings.accounts_service_url,
        "books": settings.books_service_url,
        "orders": settings.orders_service_url,
    }
    upstreams = {
        name: Upstream(
            url,
            connect_timeout=settings.connect_timeout,
            timeout=settings.answer_timeout,
            idle_timeout=settings.idle_timeout,
            max_connections=settings.upstream_connections,
        )
        for name, url in urls.items()
    }
    service = Service(
        "gateway",
        version("bookstore-gateway"),
        settings,
        dependencies=[
            Dependency(name, _check(upstream), required=False) for name, upstream in upstreams.items()
        ],
        lifespan=[lambda upstream=upstream: upstream for upstream in upstreams.values()],
        front=lambda own: Proxy(
            own,
            Routes(TABLE),
            {name: (url, upstreams[name]) for name, url in urls.items()},
            max_body=settings.max_body,
            idle_timeout=settings.idle_timeout,
        ),
    )
    service.metrics.expect((route.prefix, method) for route in TABLE for method in _METHODS)
    return service


def _check(upstream: Upstream) -> Callable[[], Awaitable[object]]:
    async def check() -> None:
        answer = await upstream.request("GET", "/health/live", timeout=0.8)
        if answer.status != 200:  # noqa: PLR2004
            raise UpstreamError(f"it answers {answer.status}")

    return check
