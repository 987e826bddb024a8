"""Keeps sessions: lets people in, keeps their tokens fresh, and speaks with those tokens.

All of it is in memory. If the monitor dies, everybody signs in again; nothing else is lost by that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Final, Self

from bookstore.contracts.accounts import Tokens
from bookstore.monitor.sessions.accounts import Accounts, Refused
from bookstore.monitor.sessions.model import LIFE, Book, Clock, Credentials, Failures, Session
from bookstore.service.problem import Problem
from bookstore.service.tokens import Caller, Verifier
from bookstore.service.tokens.verify import Claims
from bookstore.service.upstream import Answer, Header

logger = logging.getLogger(__name__)

EARLY: Final = 60.0
"""Seconds before its end at which a token is replaced."""
_ROUND: Final = 15.0
_UNAUTHORIZED: Final = 401


class Keeper:
    """Lets people in, while it is held open with `async with`.

    Args:
        accounts: Who knows passwords.
        verifier: Reads tokens.
    """

    def __init__(self, accounts: Accounts, verifier: Verifier, now: Clock = monotonic) -> None:
        self.book = Book(now)
        self.failures = Failures(now)
        self._accounts = accounts
        self._verifier = verifier
        self._renewing: dict[Session, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_fresh())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._task, *self._renewing.values(), *self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def log_in(self, email: str, password: str, address: str) -> Session:
        """A session for whoever has this password; it is none of the book's yet.

        Raises:
            Problem: 401, 429, 503; 403 for somebody who isn't ops.
        """
        tokens = await self._accounts.log_in(email, password, address)
        try:
            session = await self._session(tokens)
        except Problem:
            self._say_goodbye(tokens.refresh_token)
            raise
        session.who = await self._accounts.name(tokens.access_token) or session.who
        return session

    async def of_token(self, token: str, refresh_token: str | None) -> Session:
        """A session with tokens that somebody has already, and has shown to be good."""
        claims = await self._verifier.verify(token)
        left = max(0.0, claims.exp - time())
        credentials = Credentials(
            access_token=token, refresh_token=refresh_token, good_until=self.book.now() + left
        )
        session = self._made(claims, credentials)
        session.who = await self._accounts.name(token) or session.who
        return session

    async def admit(self, session: Session | None) -> Session:
        """A session whose ticket was shown, with tokens that are good still.

        Raises:
            Problem: 401 without, or if its tokens aren't; 503 if accounts can't say.
        """
        if session is None or session.over:
            raise Refused
        if session.credentials.good_until <= self.book.now():
            await self.renew(session)
        return session

    def leave(self, session: Session) -> None:
        """Somebody signs out: here at once, and at accounts as soon as it can be told."""
        self.book.end(session)
        if session.credentials.refresh_token:
            self._say_goodbye(session.credentials.refresh_token)

    async def ask(self, session: Session, send: Callable[[Header], Awaitable[Answer]]) -> Answer:
        """Make a call in somebody's name; once more with a new token, if the old one was refused.

        Raises:
            Problem: 401 if the session is over by now, 503 if its token has ended and accounts can't say.
        """
        if session.credentials.good_until <= self.book.now():
            await self.renew(session)
        answer = await send(_bearer(session))
        if answer.status == _UNAUTHORIZED:  # nothing was done: it is safe to ask again
            await self.renew(session)
            answer = await send(_bearer(session))
        return answer

    async def renew(self, session: Session) -> None:
        """Replace a session's tokens; those who want it at the same time share one try.

        Accounts takes a refresh token once: sent twice it would end the session for good.

        Raises:
            Problem: 401 if the session is over now, 503 if accounts can't say.
        """
        task = self._renewing.get(session)
        if task is None:
            task = self._renewing[session] = asyncio.create_task(self._renew(session))
            task.add_done_callback(lambda done: self._renewed(session, done))
        await asyncio.shield(task)

    def _renewed(self, session: Session, task: asyncio.Task[None]) -> None:
        self._renewing.pop(session, None)
        if not task.cancelled():
            task.exception()  # whoever waited is told; perhaps nobody did

    async def _renew(self, session: Session) -> None:
        refresh_token = session.credentials.refresh_token
        if session.over or refresh_token is None:
            self.book.end(session)
            raise Refused
        try:
            renewed = await self._session(await self._accounts.refresh(refresh_token))
        except Problem as problem:
            if problem.status < 500:  # noqa: PLR2004 - it isn't good any more, or not ops' any more
                self.book.end(session)
                raise Refused from problem
            raise
        session.credentials, session.caller = renewed.credentials, renewed.caller
        if session.over:  # signed out meanwhile
            self.leave(session)

    async def _session(self, tokens: Tokens) -> Session:
        claims = await self._verifier.verify(tokens.access_token)
        credentials = Credentials(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            good_until=self.book.now() + tokens.expires_in,
        )
        return self._made(claims, credentials)

    def _made(self, claims: Claims, credentials: Credentials) -> Session:
        user_id = int(claims.sub) if claims.sub.isascii() and claims.sub.isdigit() else 0
        caller = Caller(
            user_id=user_id, customer_id=claims.customer_id, roles=frozenset(claims.roles) - {"service"}
        )
        caller.require("ops")
        ends = self.book.now() + LIFE if credentials.refresh_token else credentials.good_until
        return Session(who=f"user {user_id}", caller=caller, credentials=credentials, ends=ends)

    def _say_goodbye(self, refresh_token: str) -> None:
        task = asyncio.create_task(self._accounts.log_out(refresh_token))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _keep_fresh(self) -> None:
        """Who isn't ops any more is out within the life of a token, even if they only look on."""
        while True:
            await asyncio.sleep(_ROUND)
            for session in self.book.sessions():
                if not await self._freshened(session):
                    break  # looking on needs no accounts; the next round asks again

    async def _freshened(self, session: Session) -> bool:
        """Renew it if it is time to, or see that it is over; False if accounts can't be asked now."""
        credentials = session.credentials
        if credentials.refresh_token and credentials.good_until - EARLY <= self.book.now():
            try:
                await self.renew(session)
            except Problem as problem:
                if problem.status >= 500:  # noqa: PLR2004
                    return False
                logger.info("a session is over", extra={"user_id": session.caller.user_id})
        return True


def _bearer(session: Session) -> Header:
    return b"authorization", b"Bearer " + session.credentials.access_token.encode()
