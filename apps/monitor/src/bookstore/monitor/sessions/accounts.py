"""The accounts service, as the console needs it: who has this password, and new tokens for old ones."""

import logging
from typing import Final, Self

import msgspec

from bookstore.contracts.accounts import Me, Tokens
from bookstore.contracts.reading import reader
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer, Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

_PATIENCE: Final = 2.0
_LONGEST: Final = 65_536
_JSON: Final[Header] = (b"content-type", b"application/json")
_OK, _UNAUTHORIZED, _TOO_MANY, _SERVER_ERROR = 200, 401, 429, 500
_encode = msgspec.json.Encoder().encode
_tokens = reader(Tokens)
_me = reader(Me)


class AccountsUnavailable(Problem):
    """Accounts can't say anything at the moment; that is nobody's wrong password."""

    def __init__(self) -> None:
        super().__init__(
            503, "accounts-unavailable", "accounts doesn't answer: nobody can be identified at the moment"
        )


class Refused(Problem):
    """What was shown is not good; nobody is told why."""

    def __init__(self) -> None:
        headers = {"WWW-Authenticate": "Bearer"}
        super().__init__(401, "invalid-credentials", "that is no way in, or not any more", headers=headers)


class Accounts:
    """Asks accounts, while it is held open with `async with`."""

    def __init__(self, url: str) -> None:
        self._upstream = Upstream(url, timeout=_PATIENCE, max_connections=8, max_answer=_LONGEST)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._upstream.aclose()

    async def log_in(self, email: str, password: str, address: str) -> Tokens:
        """Tokens for whoever has this password; failures count for the address that they came from.

        Raises:
            Problem: 401 if it is wrong, 429 after too many of those, 503 if accounts can't say.
        """
        forwarded = [(b"x-forwarded-for", address.encode())] if address else []
        return _read(await self._post("/auth/login", {"email": email, "password": password}, forwarded))

    async def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which is used up by that.

        If the answer is lost, the token is used up all the same: the next try is a 401, and the session ends.

        Raises:
            Problem: 401 if it isn't good, 503 if accounts can't say.
        """
        return _read(await self._post("/auth/refresh", {"refresh_token": refresh_token}))

    async def log_out(self, refresh_token: str) -> None:
        """End the session at accounts too, if that can be done; else it ends there by itself."""
        try:
            await self._post("/auth/logout", {"refresh_token": refresh_token})
        except AccountsUnavailable:
            logger.info("a session could not be ended at accounts")

    async def name(self, access_token: str) -> str | None:
        """The address of whoever a token was made for, if accounts tells."""
        try:
            answer = await self._upstream.request(
                "GET", "/auth/me", headers=[(b"authorization", f"Bearer {access_token}".encode())]
            )
            return _me(answer.body).email[:254] if answer.status == _OK else None
        except (UpstreamError, ValueError):
            return None

    async def _post(self, path: str, body: dict[str, str], headers: list[Header] | None = None) -> Answer:
        try:
            return await self._upstream.request(
                "POST", path, headers=[_JSON, *(headers or [])], body=_encode(body)
            )
        except UpstreamError as error:
            logger.warning("accounts does not answer", extra={"cause": str(error)})
            raise AccountsUnavailable from error


def _read(answer: Answer) -> Tokens:
    if answer.status == _OK:
        try:
            return _tokens(answer.body)
        except ValueError as error:
            logger.warning("accounts was not understood", extra={"cause": repr(error)})
            raise AccountsUnavailable from error
    if answer.status == _TOO_MANY:
        seconds = (answer.header(b"retry-after") or b"").decode("latin-1")
        raise Problem(
            429,
            "too-many-failures",
            "too many failed sign-ins; try again later",
            headers={"Retry-After": seconds if seconds.isdigit() and len(seconds) < 6 else "60"},  # noqa: PLR2004
        )
    if answer.status < _SERVER_ERROR:
        raise Refused
    raise AccountsUnavailable
