"""The gateway put together."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from bookstore.gateway.admin.app import create_admin
from bookstore.gateway.config import Config
from bookstore.gateway.express import Express
from bookstore.gateway.gateway import Gateway, read
from bookstore.gateway.metrics import GatewayCollector
from bookstore.gateway.proxy import Proxy
from bookstore.gateway.settings import GatewaySettings
from bookstore.service.app import Service
from bookstore.service.health import Dependency
from bookstore.service.serve import beside

if TYPE_CHECKING:
    from litestar.types import ASGIApp

_METHODS = ("GET", "POST", "PUT", "DELETE")


class NoneIsUp(Exception):
    """No target of a service is well."""


def create_app(settings: GatewaySettings) -> Service:
    """The gateway with these settings; nothing is opened yet.

    Raises:
        ConfigError: if its file can't be used.
    """
    config = read(settings)
    gateway = Gateway(settings, config)
    admin = create_admin(settings, gateway)

    def leaving() -> bool:
        return service.checkup.draining

    def front(own: "ASGIApp") -> "ASGIApp":
        return Proxy(own, gateway, leaving)

    service = Service(
        "gateway",
        version("bookstore-gateway"),
        settings,
        dependencies=[
            Dependency(name, _check(gateway, name), required=False) for name in sorted(config.upstreams)
        ],
        lifespan=[lambda: gateway, lambda: beside(admin)],
        front=front,
        header_timeout=10.0,
        own_server=True,
    )
    service.express = Express(gateway, service.asgi, leaving)
    service.metrics.registry.register(GatewayCollector(gateway))
    service.metrics.requests.expect(_series(config))
    return service


def _series(config: Config) -> list[tuple[str, str]]:
    return [
        (route.prefix, method)
        for route in config.routes
        for method in _METHODS
        if not route.methods or method in route.methods
    ]


def _check(gateway: Gateway, name: str) -> Callable[[], Awaitable[object]]:
    """Whether a service has a target that is well, as the probes have found."""

    async def check() -> None:
        group = gateway.snapshot.groups.get(name)
        if group is not None and not any(member.wellness.state == "up" for member in group.members):
            raise NoneIsUp(f"no target of {name} is up")

    return check
