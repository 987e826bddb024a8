"""The console's one-time link: whoever may read this system's credentials gets in with a click.

We log in at accounts as the one who operates the system, and the monitor gives a ticket for that, good for
once and for some minutes. It stands behind a `#`, so that no server and no log sees it.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.credentials import Credentials
from bookstore.lab.system.record import Record
from bookstore.lab.system.topology import ACCOUNTS, SYSTEM

if TYPE_CHECKING:
    from bookstore.lab.system.folder import StateFolder

Shape = TypeVar("Shape")

MONITOR = "monitor"
WHO = next(email for email, role in SYSTEM.members.items() if role == "ops")
SECONDS = 5.0
OK = range(200, 300)
UNAUTHORIZED = 401


class Link(msgspec.Struct, kw_only=True):
    """Where to go, and until when; after that the page asks for a name and a password."""

    url: str
    expires_at: str


class _Tokens(msgspec.Struct):
    access_token: str
    refresh_token: str


class _Ticket(msgspec.Struct):
    ticket: str
    expires_at: str


def has_console(folder: StateFolder) -> bool:
    """Whether there is one in what runs: it takes a monitor, and somebody who may log in."""
    return {MONITOR, ACCOUNTS} <= set(_urls(folder))


def link(folder: StateFolder) -> Link:
    """A fresh link.

    Raises:
        LabError: nothing runs, or the ticket can't be had.
    """
    urls = _urls(folder)
    if not {MONITOR, ACCOUNTS} <= set(urls):
        raise LabError(
            f"Nothing runs with its state in {folder.path}.", "Start it: bookstore up", Exit.NOT_RUNNING
        )
    page = f"{urls[MONITOR]}/console/"
    password = Credentials.load(folder.credentials).accounts.get(WHO, "")
    tokens = _asked(f"{urls[ACCOUNTS]}/auth/login", {"email": WHO, "password": password}, _Tokens, page)
    ticket = _asked(
        f"{urls[MONITOR]}/v2/monitor/tickets",
        {"refresh_token": tokens.refresh_token},
        _Ticket,
        page,
        Authorization=f"Bearer {tokens.access_token}",
    )
    return Link(url=f"{page}#ticket={ticket.ticket}", expires_at=ticket.expires_at)


def _urls(folder: StateFolder) -> dict[str, str]:
    """All services' first URLs by name."""
    record = Record.read(folder.record)
    return {row.name: row.url for row in reversed(record.rows)} if record else {}


def _asked(url: str, body: object, shape: type[Shape], page: str, **headers: str) -> Shape:
    """What somebody answers to a request.

    Raises:
        LabError: nothing, or nothing good.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request(
            "POST", parts.path, msgspec.json.encode(body), {"Content-Type": "application/json", **headers}
        )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _no_link(f"{parts.path} isn't answered: {error or type(error).__name__}", page) from error
    finally:
        connection.close()
    if answer.status == UNAUTHORIZED:
        raise _no_link(f"the first password of {WHO} isn't taken any more", page)
    try:
        if answer.status in OK:
            return msgspec.json.decode(content, type=shape)
    except msgspec.DecodeError as error:
        raise _no_link(f"{parts.path} answers something else", page) from error
    raise _no_link(f"{parts.path} answers {answer.status}", page)


def _no_link(why: str, page: str) -> LabError:
    return LabError(f"There is no link to the console: {why}.", f"Sign in at {page}", Exit.FAILED)
