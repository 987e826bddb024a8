"""The body of a login: JSON, or the form of OAuth's password grant, as old clients send it."""

from urllib.parse import parse_qsl

import msgspec

from bookstore.contracts.accounts import Login
from bookstore.service.body import decode, media_type
from bookstore.service.problem import Asked, Problem, invalid, invalid_field

_FORM = "application/x-www-form-urlencoded"
_NAMES = {"username": "email", "password": "password"}
_SCOPE = "scope"
_IGNORED = frozenset({"client_id", "client_secret"})
_MOST_FIELDS = 10


async def read_login(request: Asked) -> Login:
    """What somebody logs in with.

    Raises:
        Problem: 415 for another content type, 400 for what can't be used.
    """
    content_type = media_type(request)
    path = request.scope["path"]
    if content_type == "application/json":
        login: Login = decode(await request.body(), Login, path)
        return login
    if content_type == _FORM:
        return _from_form(await request.body(), path)
    raise Problem(415, "unsupported-media-type", f"send application/json or {_FORM}")


def _from_form(body: bytes, path: str) -> Login:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise invalid(path, "the body is not a valid form") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise invalid_field(path, name, "given more than once")
        if "\0" in value:
            raise invalid(path, "text must not hold the character NUL")
        found[name] = value
    if found.pop("grant_type", "password") != "password":
        raise invalid_field(path, "grant_type", "must be password")
    for name in found.keys() - _NAMES.keys() - _IGNORED - {_SCOPE}:
        raise invalid_field(path, "body", f"the form has the unknown field {name[:50]!r}")
    for name in _NAMES.keys() - found.keys():
        raise invalid_field(path, name, "missing")
    try:
        given = {own: found[name] for name, own in _NAMES.items()}
        return msgspec.convert({**given, "scope": found.get(_SCOPE, "")}, Login)
    except msgspec.ValidationError as error:
        raise invalid(path, str(error)) from None
