"""The admin interface put together: a service beside the gateway, in its process, on a port of its own."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bookstore.gateway.admin import api
from bookstore.gateway.gateway import Gateway
from bookstore.gateway.settings import GatewaySettings
from bookstore.service import circuits
from bookstore.service.app import Service
from bookstore.service.problem import Problem, send_problem

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
_OURSELVES = frozenset({b"127.0.0.1", b"localhost", b"[::1]"})


def create_admin(settings: GatewaySettings, gateway: Gateway) -> Service:
    """The operators' side of this gateway."""
    own = msgspec.structs.replace(settings, host=LOOPBACK)
    return Service(
        "gateway-admin",
        version("bookstore-gateway"),
        own,
        handlers=[*api.handlers, *circuits.handlers(look=None, switch=None)],
        provide={"gateway": gateway, "settings": settings, "circuits": _circuits(gateway)},
        front=_FromHere,
        port_setting="ADMIN_PORT",
    )


def _circuits(gateway: Gateway) -> circuits.Circuits:
    """Those on the way to the services, as the file of the moment knows them."""
    return circuits.Circuits(lambda: {name: group.breaker for name, group in gateway.snapshot.groups.items()})


class _FromHere:
    """Lets in only who asks this machine by its name, and no web page.

    A page of any origin can send requests to loopback from the browser of whoever looks at it, and a name
    that it owns can be made to point here.
    """

    def __init__(self, inside: "ASGIApp") -> None:
        self._inside = inside

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            headers = dict(cast("dict[str, Any]", scope)["headers"])
            host = headers.get(b"host", b"").rpartition(b":")[0] or headers.get(b"host", b"")
            if host not in _OURSELVES or b"origin" in headers:
                await send_problem(
                    scope, send, Problem(403, "forbidden", "this is for operators on this machine")
                )
                return
        await self._inside(scope, receive, send)
