"""Sessions and tickets: rules without I/O. Their lives are counted on the monotonic clock.

Of what is handed out only a digest is kept: no comparison tells how near a guess was.
"""

import hashlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Final

from bookstore.service.problem import Problem
from bookstore.service.tokens import Caller

COOKIE: Final = "bookstore_console"
LIFE: Final = 12 * 3600.0
"""Seconds for which a session lasts at most."""
TICKET_LIFE: Final = 600.0
"""Seconds within which a ticket has to be used."""
FAILURES: Final = 10
"""Failed sign-ins from one address, within the window."""
WINDOW: Final = 300.0

_MOST_SESSIONS, _MOST_TICKETS, _MOST_ADDRESSES = 1000, 100, 1000
_LONGEST_COOKIES: Final = 8192

Clock = Callable[[], float]


@dataclass(kw_only=True)
class Credentials:
    """With what somebody's calls are made, and until when (monotonic)."""

    access_token: str
    refresh_token: str | None
    good_until: float


@dataclass(kw_only=True, eq=False)
class Session:
    """Somebody who is signed in."""

    who: str
    caller: Caller
    credentials: Credentials
    ends: float
    over: bool = False
    """Whether it has ended before its time."""


class TooManyFailures(Problem):
    """Somebody has guessed too often."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            429,
            "too-many-failures",
            f"too many failed sign-ins; try again in {seconds} seconds",
            headers={"Retry-After": str(seconds)},
        )


class Failures:
    """Counts failed sign-ins by address. An attempt counts from its beginning: many at once are many."""

    def __init__(self, now: Clock = monotonic) -> None:
        self._now = now
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    @contextmanager
    def attempt(self, address: str) -> Generator[None]:
        """To be held round a sign-in. It counts unless it goes well, or ends in something else than a 401.

        Raises:
            TooManyFailures: if there were too many already.
        """
        times = self._of(address)
        if len(times) >= FAILURES:
            raise TooManyFailures(max(1, ceil(times[0] + WINDOW - self._now())))
        began = self._now()
        times.append(began)
        try:
            yield
        except Problem as problem:
            if problem.status == 401:  # noqa: PLR2004
                raise
            _forget(times, began)
            raise
        except BaseException:
            _forget(times, began)
            raise
        _forget(times, began)

    def _of(self, address: str) -> deque[float]:
        times = self._times.setdefault(address, deque())
        self._times.move_to_end(address)
        while len(self._times) > _MOST_ADDRESSES:
            self._times.popitem(last=False)
        while times and times[0] <= self._now() - WINDOW:
            times.popleft()
        return times


class Book:
    """The sessions and tickets that are good now, as many as there may be: the oldest go first."""

    def __init__(self, now: Clock = monotonic) -> None:
        self.now = now
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._tickets: OrderedDict[bytes, tuple[float, Session]] = OrderedDict()

    def begin(self, session: Session) -> str:
        """Let a session begin; gives the secret by which it is found."""
        self._sweep()
        secret, digest = _new()
        self._sessions[digest] = session
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)[1].over = True
        return secret

    def find(self, secret: str | None) -> Session | None:
        """The session of that secret, if it isn't over."""
        session = self._sessions.get(_digest(secret)) if secret else None
        return session if session and self.lasts(session) else None

    def end(self, session: Session) -> None:
        """It is over, for whoever holds its secret."""
        session.over = True
        for digest in [key for key, each in self._sessions.items() if each is session]:
            del self._sessions[digest]

    def lasts(self, session: Session) -> bool:
        """Whether it is still going on."""
        return not session.over and session.ends > self.now()

    def sessions(self) -> list[Session]:
        """All that go on."""
        self._sweep()
        return [*self._sessions.values()]

    def issue(self, session: Session) -> tuple[str, float]:
        """A ticket to that session, and for how many seconds it is good."""
        self._sweep()
        secret, digest = _new()
        self._tickets[digest] = self.now() + TICKET_LIFE, session
        while len(self._tickets) > _MOST_TICKETS:
            self._tickets.popitem(last=False)
        return secret, TICKET_LIFE

    @contextmanager
    def redeem(self, secret: str) -> Generator[Session | None]:
        """The session of a ticket, whose ticket is used up; unless what follows fails for no fault of its."""
        digest = _digest(secret)
        until, session = self._tickets.pop(digest, (0.0, None))
        if session is None or until <= self.now():
            yield None
            return
        try:
            yield session
        except Problem as problem:
            if problem.status >= 500:  # noqa: PLR2004
                self._tickets[digest] = until, session
            raise

    def _sweep(self) -> None:
        now = self.now()
        for digest in [key for key, each in self._sessions.items() if each.ends <= now]:
            del self._sessions[digest]
        for digest in [key for key, (until, _) in self._tickets.items() if until <= now]:
            del self._tickets[digest]


def cookie_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The secret that a browser sends along; the first, if it sends several."""
    for name, value in headers:
        if name == b"cookie" and len(value) <= _LONGEST_COOKIES:
            for part in value.decode("latin-1").split(";"):
                key, _, found = part.strip().partition("=")
                if key == COOKIE:
                    return found
    return None


def cookie(secret: str, *, secure: bool) -> str:
    """The header Set-Cookie that hands a secret to a browser; an empty one takes it back."""
    parts = [f"{COOKIE}={secret}", "Path=/", "HttpOnly", "SameSite=Strict"]
    if secure:
        parts.append("Secure")
    if not secret:
        parts.append("Max-Age=0")
    return "; ".join(parts)


def _new() -> tuple[str, bytes]:
    secret = secrets.token_urlsafe(32)
    return secret, _digest(secret)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _forget(times: deque[float], began: float) -> None:
    if began in times:
        times.remove(began)
