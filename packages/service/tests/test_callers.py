"""Who may ask: each hook with each kind of caller, as a service answers them; and what services show."""

import pytest
from litestar import get

from bookstore.service.app import Service
from bookstore.service.problem import Asked
from bookstore.service.settings import SettingsError, load
from bookstore.service.tokens import Access, TokenSettings, service_headers
from bookstore.service.tokens.callers import (
    caller,
    identified,
    logged_in,
    ops_logged_in,
    ops_only,
    services_only,
    staff_only,
)
from bookstore.service.tokens.verify import Claims, TokenRefused

SECRET = "s3rv1ce-" * 4


class Named:
    """Takes a role's name for a token of somebody with that role."""

    async def verify(self, token):
        if token == "forged":
            raise TokenRefused("it is forged")
        return Claims(sub="7", jti="j", exp=0, roles=[token], customer_id=3)


def _route(hook):
    @get(f"/{hook.__name__}", before_request=hook)
    async def answer(request: Asked) -> list[str]:
        return sorted(caller(request).roles)

    return answer


def settings(**given):
    environ = {"PORT": "0", "ACCESS_LOG": "false", **given}
    return load(TokenSettings, "probe", environ=environ)


@pytest.fixture
def answers(connect):
    """Serve a route for each hook, and tell with which status it answers somebody."""

    async def answers(hook, who, **given):
        told = settings(**given)
        access = Access(Named(), required=told.auth_required, service_secret=told.service_secret)
        service = Service("probe", "1", told, handlers=[_route(each) for each in HOOKS], access=access)
        headers = WHO[who]
        async with connect(service) as client:
            return (await client.get(f"/{hook.__name__}", headers=headers)).status_code

    return answers


WHO = {
    "nobody": {},
    "customer": {"Authorization": "Bearer customer"},
    "staff": {"Authorization": "Bearer staff"},
    "ops": {"Authorization": "Bearer ops"},
    "service": {"Authorization": f"Service {SECRET}"},
    "no service": {"Authorization": f"Service {SECRET[::-1]}"},
    "forger": {"Authorization": "Bearer forged"},
    "boaster": {"X-User-Id": "1", "X-User-Roles": "ops"},
}
HOOKS = {
    #                nobody, customer, staff, ops, service, no service, forger, boaster
    identified:     (401, 200, 200, 200, 200, 401, 401, 401),
    staff_only:     (401, 403, 200, 200, 403, 401, 401, 401),
    services_only:  (401, 403, 403, 403, 200, 401, 401, 401),
    ops_only:       (401, 403, 403, 200, 403, 401, 401, 401),
    logged_in:      (401, 200, 200, 200, 403, 401, 401, 401),
    ops_logged_in:  (401, 403, 403, 200, 403, 401, 401, 401),
}  # fmt: skip
CASES = [
    pytest.param(hook, who, status, id=f"{hook.__name__} {who}")
    for hook, row in HOOKS.items()
    for who, status in zip(WHO, row, strict=True)
]


@pytest.mark.parametrize(("hook", "who", "status"), CASES)
async def test_where_a_token_is_required(answers, hook, who, status):
    assert await answers(hook, who, AUTH_REQUIRED="true", SERVICE_SECRET=SECRET) == status


@pytest.mark.parametrize(("hook", "who", "status"), CASES)
async def test_where_none_is_required_only_nobody_is_treated_otherwise(answers, hook, who, status):
    if who in {"nobody", "boaster"} and hook not in (logged_in, ops_logged_in):
        status = 200
    assert await answers(hook, who, SERVICE_SECRET=SECRET) == status


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("required", ["true", "false"])
async def test_without_a_secret_nobody_comes_as_a_service(answers, who, required):
    status = await answers(services_only, who, AUTH_REQUIRED=required)
    if who in {"nobody", "boaster"}:
        assert status == (401 if required == "true" else 200)
    else:
        assert status in {401, 403}


async def test_what_a_call_carries_is_what_is_taken():
    told = settings(SERVICE_SECRET=SECRET)
    access = Access(Named(), required=True, service_secret=told.service_secret)
    assert (await access.caller(service_headers(told))).roles == {"service"}
    assert service_headers(settings()) == []


@pytest.mark.parametrize(
    "secret", ["short", "x" * 31, "x" * 201, "two words " * 4, "é" * 40, "x" * 32 + "\n"]
)
def test_a_secret_that_is_none_is_refused_and_not_told(secret):
    with pytest.raises(SettingsError) as refused:
        settings(SERVICE_SECRET=secret)
    assert "SERVICE_SECRET: must have 32 to 200 characters" in str(refused.value)
    assert secret not in str(refused.value)
