"""Databases with an owner each, made on any PostgreSQL that an administrator's URL leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bookstore.stores.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Any number will do as long as it is ours: two who provision the same server take turns.
LOCK = 0x626F_6F6B
CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Database:
    """A database and the one user who may connect to it."""

    name: str
    owner: str
    password: str

    def url(self, administrator_url: str) -> str:
        """The owner's connection URL, on the server that `administrator_url` leads to."""
        return with_database(with_user(administrator_url, self.owner, self.password), self.name)


def with_user(url: str, user: str, password: str) -> str:
    """The same server for another user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))


def with_database(url: str, name: str) -> str:
    """The same server and user, for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name, safe='')}"))


def provision(administrator_url: str, databases: Iterable[Database]) -> list[str]:
    """Make users and databases that are missing, set the passwords, and keep everybody else out.

    It may be run again at any time: what is there already stays as it is.

    Returns:
        The names of the databases that weren't there.

    Raises:
        StoreError: the server can't be reached, or the user may not create databases.
    """
    made: list[str] = []
    try:
        with psycopg.connect(
            administrator_url, autocommit=True, connect_timeout=CONNECT_SECONDS
        ) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            for database in databases:
                _make_owner(connection, database)
                if _make_database(connection, database):
                    made.append(database.name)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"The user of DATABASE_URL may not create databases and users: {_first_line(error)}",
            "Give the URL of an administrator, who has CREATEDB and CREATEROLE.",
        ) from error
    except psycopg.Error as error:
        raise StoreError(
            f"PostgreSQL at {without_password(administrator_url)} can't be used: {_first_line(error)}",
            "Check that the server runs, and the URL's host, port, user and password.",
        ) from error
    return made


def without_password(url: str) -> str:
    """`url` in a form that may be shown and logged."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}" if user else host, query=""))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _make_owner(connection: psycopg.Connection, database: Database) -> None:
    owner = sql.Identifier(database.owner)
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [database.owner]).rowcount
    if not known:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(owner))
    # Hashed here, so that no log of the server ever holds the password itself.
    scram = connection.pgconn.encrypt_password(
        database.password.encode(), database.owner.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(owner, sql.Literal(scram)))
    superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if superuser == (False,):
        # Only a member may make somebody an owner.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH SET TRUE").format(owner))


def _make_database(connection: psycopg.Connection, database: Database) -> bool:
    name, owner = sql.Identifier(database.name), sql.Identifier(database.owner)
    known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [database.name]).rowcount
    if not known:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    return not known
