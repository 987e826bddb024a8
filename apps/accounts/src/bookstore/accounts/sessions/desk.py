"""Logging in and staying logged in: the steps in their order, over the store."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from time import time

from bookstore.accounts.keys.ring import Ring
from bookstore.accounts.people.model import User
from bookstore.accounts.people.passwords import Passwords
from bookstore.accounts.people.store import PeopleStore
from bookstore.accounts.sessions import model
from bookstore.accounts.sessions.store import SessionStore
from bookstore.accounts.settings import AccountsSettings
from bookstore.contracts.accounts import Login, NewPassword, Tokens
from bookstore.service.background import meanwhile
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

_SWEEP = 60.0


class Desk:
    """Where people log in. Nothing here says whether an address has an account, by word or by time."""

    def __init__(
        self,
        people: PeopleStore,
        sessions: SessionStore,
        passwords: Passwords,
        ring: Ring,
        settings: AccountsSettings,
    ) -> None:
        self._people = people
        self._sessions = sessions
        self._passwords = passwords
        self._ring = ring
        self._settings = settings

    async def log_in(self, login: Login, address: str) -> Tokens:
        """Tokens for somebody who knows their password.

        Raises:
            Problem: 401 if they don't, 429 after too many failures.
        """
        email, account = model.account(login.email)
        self._let_pass(await self._sessions.wait(account, address))
        user = await self._people.user_by_email(email or "")
        await self._check(user, login.password, account, address)
        if user is None:  # the check has refused nobody's password
            raise model.WrongCredentials
        outdated = self._passwords.outdated(user.password_hash)
        rehashed = await self._passwords.hash(login.password) if outdated else None
        token, digest = model.new_token()
        # Signed before the session begins: without a key nobody gets one.
        tokens = await self._tokens(user, token, login.scope)
        begun = await self._sessions.begin(user, digest, account, address, rehashed=rehashed)
        if begun is False:
            raise model.WrongCredentials
        self._let_pass(None if begun is True else begun)
        return tokens

    async def _check(self, user: User | None, password: str, account: bytes, address: str) -> None:
        if not await self._passwords.fits(password, user.password_hash if user else None):
            self._let_pass(await self._sessions.failed(account, address))
            raise model.WrongCredentials

    @staticmethod
    def _let_pass(seconds: int | None) -> None:
        if seconds is not None:
            raise model.TooManyFailures(seconds)

    async def refresh(self, token: str, *, arrived: float) -> Tokens:
        """New tokens for a refresh token that wasn't used yet, in a request that arrived then.

        Raises:
            Problem: 401 for any other.
        """
        await self._ring.check()
        successor, digest = model.new_token()
        outcome, user = await self._sessions.refresh(model.digest(token), digest, arrived=arrived)
        if outcome == "reused":
            logger.warning("a refresh token came twice: its session is ended")
        if user is None:
            raise model.SessionRefused(superseded=outcome == "superseded")
        # What was asked for at the login isn't asked for again: a scope ends with its token.
        return await self._tokens(user, successor)

    async def log_out(self, token: str) -> None:
        """End a session; of one that isn't there, nothing is said."""
        await self._sessions.end(model.digest(token))

    async def change_password(self, user_id: int, change: NewPassword, address: str) -> None:
        """Set a new password; all sessions end, and access tokens when their time is up.

        Raises:
            Problem: 403 if the current one is wrong, 429 after too many failures.
        """
        user = await self.user(user_id)
        _, account = model.account(user.email)
        self._let_pass(await self._sessions.wait(account, address))
        try:
            await self._check(user, change.current_password, account, address)
        except model.WrongCredentials:
            raise _WrongPassword from None
        password_hash = await self._passwords.hash(change.new_password)
        if not await self._sessions.change_password(user, password_hash):
            raise _WrongPassword

    async def user(self, user_id: int) -> User:
        """Whoever a token was made for.

        Raises:
            Problem: 401 if they were deleted since.
        """
        user = await self._people.user(user_id)
        if user is None:
            raise Problem(
                401,
                "invalid-token",
                "the token is not valid, or not any more",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return user

    async def _tokens(self, user: User, refresh_token: str, scope: str = "") -> Tokens:
        settings = self._settings
        said = model.claims(
            user,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            now=int(time()),
            life=settings.access_token_life,
            scope=scope,
        )
        return Tokens(
            access_token=await self._ring.sign(said),
            refresh_token=refresh_token,
            token_type="bearer",  # noqa: S106 - the name of a kind
            expires_in=settings.access_token_life,
        )

    def sweeping(self) -> AbstractAsyncContextManager[None]:
        """Remove what counts no more, once in a while, for as long as the block runs."""
        return meanwhile(self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            try:
                await self._sessions.sweep()
            except DatabaseUnavailable as error:
                logger.warning("nothing could be swept", extra={"cause": str(error)})


class _WrongPassword(Problem):
    def __init__(self) -> None:
        super().__init__(403, "wrong-password", "the current password is wrong")
