"""What the command line can do besides serving: make people who work here, and look after the keys."""

import argparse
import asyncio
import contextlib
import getpass
import secrets
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from bookstore.accounts.keys.model import Safe, state
from bookstore.accounts.keys.ring import Ring
from bookstore.accounts.keys.store import KeyStore, RotationPending
from bookstore.accounts.people.model import EmailTaken, as_hashed
from bookstore.accounts.people.passwords import Passwords
from bookstore.accounts.people.store import PeopleStore
from bookstore.accounts.sessions.desk import Desk
from bookstore.accounts.sessions.store import SessionStore
from bookstore.accounts.settings import AccountsSettings
from bookstore.contracts.accounts import Email, Login, Role
from bookstore.contracts.values import Text
from bookstore.service.database import Database, DatabaseUnavailable
from bookstore.service.problem import Problem
from bookstore.service.schema import Schema
from bookstore.service.settings import SettingsError, load

DONE, REFUSED, BAD_SETTINGS, NO_DATABASE = 0, 1, 2, 4

_PATIENCE = 15.0
_SHORTEST, _LONGEST = 8, 128
_HERE = "command line"
"""The address that failed logins are counted under."""


class _New(msgspec.Struct, forbid_unknown_fields=True):
    """One of those whom `create-users` makes."""

    email: Email
    role: Literal["ops", "staff"]
    password: str


class _Refused(Exception):
    """What was asked can't be done; the message is for whoever asked."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load(AccountsSettings, "accounts")
        if asked.command == "create-user":
            said = asyncio.run(_create_user(settings, asked))
        elif asked.command == "create-users":
            said = asyncio.run(_create_users(settings))
        elif asked.command == "token":
            said = asyncio.run(_token(settings, asked))
        elif asked.verb == "rotate":
            said = asyncio.run(_rotate(settings, at_once=asked.leaked))
        else:
            said = asyncio.run(_list(settings))
    except SettingsError as error:
        return _fail(BAD_SETTINGS, *error.problems)
    except (_Refused, RotationPending, Problem) as error:
        return _fail(REFUSED, str(error))
    except (DatabaseUnavailable, TimeoutError):
        return _fail(NO_DATABASE, "the database is not answering")
    sys.stdout.write(said)
    return DONE


def _fail(code: int, *lines: str) -> int:
    for line in lines:
        sys.stderr.write(f"accounts: {line}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="accounts", description="Without a command: serve.")
    commands = parser.add_subparsers(dest="command", required=True)

    user = commands.add_parser("create-user", help="make somebody who works here")
    user.add_argument("--email", required=True)
    user.add_argument("--role", required=True, choices=("ops", "staff"))
    user.add_argument("--name", default="", help="default: what stands before the @")
    user.add_argument(
        "--if-missing", action="store_true", help="done already if there is somebody with that address"
    )
    source = user.add_mutually_exclusive_group()
    source.add_argument("--generate", action="store_true", help="make a password up, and print it")
    source.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    commands.add_parser(
        "create-users",
        help="make all who aren't there yet of those told on standard input:"
        ' a line each, {"email": ..., "role": ..., "password": ...}',
    )

    token = commands.add_parser("token", help="log in, and print the access token")
    token.add_argument("--email", required=True)
    token.add_argument("--scope", default="", help="load: the gateway's limits don't hold (for ops)")
    token.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    keys = commands.add_parser("keys", help="look after the keys that sign tokens")
    verbs = keys.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="show all keys and what each is doing")
    rotate = verbs.add_parser("rotate", help="make the next key")
    rotate.add_argument(
        "--leaked", action="store_true", help="sign with it at once, and disown all others: ends all tokens"
    )
    return parser


@asynccontextmanager
async def _opened(settings: AccountsSettings) -> AsyncGenerator[Database]:
    """The database, at the revision that we need."""
    async with Database(settings.database_url, direct_url=settings.database_direct_url, size=2) as database:
        async with asyncio.timeout(_PATIENCE):
            await Schema(database, "bookstore.accounts").prepare()
        yield database


async def _create_user(settings: AccountsSettings, asked: argparse.Namespace) -> str:
    role: Role = asked.role
    try:
        email = Email(asked.email)
        name = Text(asked.name or email.partition("@")[0])
    except ValueError as error:
        raise _Refused(str(error)) from None
    hasher = Passwords(memory=settings.argon2_memory, passes=settings.argon2_passes, threads=1)
    async with _opened(settings) as database, hasher as passwords:
        people = PeopleStore(database)
        if await people.user_by_email(email):
            return _existing(email, asked)
        password, shown = _password(asked)
        try:
            await people.add_user(
                email=email, name=name, password_hash=await passwords.hash(password), role=role
            )
        except EmailTaken:
            return _existing(email, asked)
    return f"{email} may log in as {role}\n" + (f"password: {password}\n" if shown else "")


async def _create_users(settings: AccountsSettings) -> str:
    """Make them one after the other. Who dies half-way has made the first of them; it can be run again."""
    said: list[str] = []
    try:
        told = [msgspec.json.decode(line, type=_New, dec_hook=_value) for line in sys.stdin]
    except ValueError as error:
        raise _Refused(str(error)) from None
    hasher = Passwords(memory=settings.argon2_memory, passes=settings.argon2_passes, threads=1)
    async with _opened(settings) as database, hasher as passwords:
        store = PeopleStore(database)
        for new in told:
            if await store.user_by_email(new.email):
                said.append(f"{new.email} is there already\n")
                continue
            name, secret = Text(new.email.partition("@")[0]), await passwords.hash(_checked(new.password))
            with contextlib.suppress(EmailTaken):  # by another who makes them just now
                await store.add_user(email=new.email, name=name, password_hash=secret, role=new.role)
            said.append(f"{new.email} may log in as {new.role}\n")
    return "".join(said)


def _value(kind: type, given: object) -> object:
    """An address out of JSON, checked."""
    return kind(given)


async def _token(settings: AccountsSettings, asked: argparse.Namespace) -> str:
    """Log in as over HTTP: a wrong password counts here too."""
    if asked.password_stdin or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
    hasher = Passwords(memory=settings.argon2_memory, passes=settings.argon2_passes, threads=1)
    async with _opened(settings) as database, hasher as passwords:
        sessions = SessionStore(database, life=settings.session_life, grace=settings.refresh_grace)
        ring = Ring(KeyStore(database), Safe(settings.accounts_key_secret), settings.signing_algorithm)
        desk = Desk(PeopleStore(database), sessions, passwords, ring, settings)
        login = Login(email=asked.email, password=password, scope=asked.scope)
        tokens = await desk.log_in(login, _HERE)
        await desk.log_out(tokens.refresh_token)
    return f"{tokens.access_token}\n"


def _existing(email: str, asked: argparse.Namespace) -> str:
    if asked.if_missing:
        return f"{email} is there already\n"
    raise _Refused(f"{email} is there already")


def _password(asked: argparse.Namespace) -> tuple[str, bool]:
    """The password, never from the command line, which others can see; and whether to show it."""
    if asked.password_stdin:
        return _checked(sys.stdin.readline().rstrip("\r\n")), False
    if asked.generate or not sys.stdin.isatty():
        return secrets.token_urlsafe(18), True
    password = getpass.getpass("Password (empty: make one up): ")
    if not password:
        return secrets.token_urlsafe(18), True
    if getpass.getpass("Again: ") != password:
        raise _Refused("the two passwords differ")
    return _checked(password), False


def _checked(password: str) -> str:
    if not _SHORTEST <= len(as_hashed(password)) <= _LONGEST or "\0" in password:
        raise _Refused(f"a password has {_SHORTEST} to {_LONGEST} characters")
    return password


async def _rotate(settings: AccountsSettings, *, at_once: bool) -> str:
    async with _opened(settings) as database:
        store = KeyStore(database)
        safe = Safe(settings.accounts_key_secret)
        await store.ensure(settings.signing_algorithm, safe)
        lead = timedelta(seconds=settings.key_lead)
        key = await store.rotate(settings.signing_algorithm, safe, lead=lead, at_once=at_once)
    return f"{key.kid} is published, and signs from {_time(key.signs_from)}\n"


async def _list(settings: AccountsSettings) -> str:
    async with _opened(settings) as database:
        keys = await KeyStore(database).all()
    now = datetime.now(UTC)
    rows = [("KID", "ALGORITHM", "STATE", "SIGNS FROM", "PUBLISHED UNTIL", "PRIVATE KEY")]
    rows += [
        (
            key.kid,
            key.algorithm,
            state(key, keys, now),
            _time(key.signs_from),
            _time(key.published_until) if key.published_until else "-",
            "encrypted" if key.sealed else "plain",
        )
        for key in keys
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
