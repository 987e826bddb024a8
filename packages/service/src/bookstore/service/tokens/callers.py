"""Who may ask: hooks that run before a request's body is looked at. They need a `Service` with `access`."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from bookstore.service.problem import Asked, Problem
from bookstore.service.tokens import SERVICE, Access, Caller

Hook: TypeAlias = Callable[[Asked], Awaitable[None]]

STAFF = ("staff", "ops")


class Together:
    """Several hooks as one, in their order: `before_request=Together(staff_only, plainly_asked)`."""

    def __init__(self, *hooks: Hook) -> None:
        self.hooks = hooks

    async def __call__(self, request: Asked) -> None:
        """Run them; the first that refuses has the last word."""
        for hook in self.hooks:
            await hook(request)


async def identified(request: Asked) -> None:
    """For `before_request`: tell who asks."""
    await _identify(request, required=False)


async def staff_only(request: Asked) -> None:
    """For `before_request`: only for those who work here."""
    await _identify(request, required=False)
    caller(request).require(*STAFF)


async def services_only(request: Asked) -> None:
    """For `before_request`: only for other services of ours."""
    await _identify(request, required=False)
    caller(request).require(*SERVICE.roles)


async def ops_only(request: Asked) -> None:
    """For `before_request`: only for those who run the system."""
    await _identify(request, required=False)
    caller(request).require("ops")


async def logged_in(request: Asked) -> None:
    """For `before_request`: only with a person's token, whatever the settings say."""
    await _identify(request, required=True)
    if caller(request).user_id is None:
        raise Problem(403, "forbidden", "this needs somebody who is logged in")


async def ops_logged_in(request: Asked) -> None:
    """For `before_request`: only with a token of somebody who runs the system, whatever the settings say."""
    await logged_in(request)
    caller(request).require("ops")


async def _identify(request: Asked, *, required: bool) -> None:
    access: Access = request.app.state["access"]
    request.scope["state"]["caller"] = await access.caller(request.scope["headers"], required=required)


def caller(request: Asked) -> Caller:
    """Who asks, as one of the hooks has found."""
    found: Caller = request.scope["state"]["caller"]
    return found


def user_id(request: Asked) -> int:
    """Who is logged in, as `logged_in` has found."""
    found = caller(request).user_id
    if found is None:
        raise LookupError("logged_in has not run")
    return found
