"""The operators' handlers."""

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from bookstore.contracts.problems import FieldError
from bookstore.gateway.admin import model
from bookstore.gateway.config import ConfigError, read_text
from bookstore.gateway.gateway import Gateway
from bookstore.gateway.settings import GatewaySettings
from bookstore.gateway.upstreams import Group, Member
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given

_FORMATS = {"application/json": "json", "application/toml": "toml", "text/plain": "toml", "": "toml"}


@get("/routes")
async def get_routes(gateway: Given[Gateway]) -> list[model.RouteView]:
    """Which requests go where."""
    return model.routes(gateway)


@get("/upstreams")
async def get_upstreams(gateway: Given[Gateway]) -> list[model.UpstreamView]:
    """The services, how each target is, and what it has under way."""
    return [model.upstream(group) for group in gateway.snapshot.groups.values()]


@get("/limits")
async def get_limits(gateway: Given[Gateway]) -> list[model.LimitView]:
    """The limits, and what they have said since the start."""
    return model.limits(gateway)


@get("/breakers")
async def get_breakers(gateway: Given[Gateway]) -> list[model.BreakerView]:
    """The circuit of each service."""
    return [model.breaker(group) for group in gateway.snapshot.groups.values()]


@get("/config")
async def get_config(gateway: Given[Gateway]) -> Response[bytes]:
    """The file that is gone by, with all that it leaves out."""
    text = msgspec.json.encode(gateway.snapshot.config)
    return Response(text, media_type="application/json")


@put("/config", status_code=200)
async def put_config(
    request: Asked, gateway: Given[Gateway], settings: Given[GatewaySettings]
) -> Response[bytes]:
    """Go by another file from now on, until the next one or SIGHUP; it is kept in memory only.

    TOML, or JSON if the content type says so.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMATS:
        raise Problem(415, "unsupported-media-type", "send application/toml or application/json")
    try:
        config = read_text(
            await request.body(), "json" if kind == "application/json" else "toml", settings.urls
        )
    except ConfigError as error:
        gateway.tally.reloads["refused"] += 1
        errors = [FieldError(field=each.field or "body", message=each.message) for each in error.problems]
        raise Problem(400, "validation", str(error), errors=errors) from None
    await gateway.load(config)
    return Response(msgspec.json.encode(config), media_type="application/json")


@post("/upstreams/{name:str}/targets/{number:int}/drain", status_code=200)
async def drain(gateway: Given[Gateway], name: FromPath[str], number: FromPath[int]) -> model.TargetView:
    """Send a target no further requests; those that it has go on. Survives a change of the file."""
    return _drained(gateway, name, number, draining=True)


@delete("/upstreams/{name:str}/targets/{number:int}/drain", status_code=200)
async def undrain(gateway: Given[Gateway], name: FromPath[str], number: FromPath[int]) -> model.TargetView:
    """Send a target requests again."""
    return _drained(gateway, name, number, draining=False)


def _drained(gateway: Gateway, name: str, number: int, *, draining: bool) -> model.TargetView:
    group, member = _find(gateway, name, number)
    member.draining = draining
    group.refresh()
    return model.target(group, number, member)


def _find(gateway: Gateway, name: str, number: int) -> tuple[Group, Member]:
    group = gateway.snapshot.groups.get(name)
    if group is None or not 0 <= number < len(group.members):
        raise Problem(404, "not-found", f"there is no target {number} of {name}")
    return group, group.members[number]


handlers = [
    get_routes,
    get_upstreams,
    get_limits,
    get_breakers,
    get_config,
    put_config,
    drain,
    undrain,
]
