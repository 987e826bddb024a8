"""pytest plugin: a real PostgreSQL and a real Redis for any test.

Shared for the whole run (under pytest-xdist, for each worker), started at first use, gone at the end even if
the run is killed:

- `postgres_database`: the URL of a fresh, empty database.
- `postgres_template`: makes a template from a migration; `template.fresh()` clones it for a test.
- `redis_url`: the URL of an empty Redis.

For one test alone, which may freeze, kill and restart it: `postgres_server` and `redis_server`.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bookstore.stores.guardian import Guardian
    from bookstore.stores.postgres import Postgres
    from bookstore.stores.redis import Redis
    from bookstore.stores.server import Server
    from bookstore.stores.template import Template

# Imports of our own stand inside the fixtures: a run that needs no store shouldn't pay for them.
# ruff: noqa: PLC0415

ATTEMPTS = 5


@pytest.fixture(scope="session")
def store_guardian() -> Iterator[Guardian]:
    """Ends the run's servers if the run itself is killed."""
    from bookstore.stores.guardian import Guardian

    guardian = Guardian()
    yield guardian
    guardian.close()


@pytest.fixture(scope="session")
def store_folder(store_guardian: Guardian) -> Iterator[Path]:
    """A folder for the run's servers, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bookstore-tests-"))
    store_guardian.watch_folder(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    store_guardian.forget_folder(folder)


def _started(make: Callable[[int], Postgres | Redis], guardian: Guardian) -> Server:
    """A server of what `make` makes for a port."""
    from bookstore.stores.errors import StoreError
    from bookstore.stores.ports import any_free
    from bookstore.stores.server import Server

    for attempt in range(ATTEMPTS):
        server = Server(make(any_free()), guardian)
        try:
            server.start()
        except StoreError:
            server.close()
            # Somebody else may have taken the port since we asked for it.
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return server
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def blank_postgres(store_folder: Path) -> Postgres:
    """A PostgreSQL that never runs: a copy of its folder is had in no time, and initdb takes seconds."""
    from bookstore.stores.account import unprivileged
    from bookstore.stores.postgres import Postgres

    blank = Postgres(
        folder=store_folder / "blank",
        port=0,
        password=secrets.token_urlsafe(12),
        account=unprivileged(),
        durable=False,
    )
    blank.prepare()
    return blank


def _postgres(blank: Postgres, guardian: Guardian) -> Server:
    home = blank.folder.with_name(f"postgres-{secrets.token_hex(4)}")
    subprocess.run(["cp", "-a", blank.folder, home], check=True)  # noqa: S603, S607 - with owner and mode
    return _started(lambda port: replace(blank, folder=home, port=port), guardian)


def _redis(folder: Path, guardian: Guardian, *, durable: bool) -> Server:
    from bookstore.stores.account import unprivileged
    from bookstore.stores.redis import Redis

    home, password = folder / f"redis-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    return _started(
        lambda port: Redis(
            folder=home, port=port, password=password, account=unprivileged(), durable=durable
        ),
        guardian,
    )


@pytest.fixture(scope="session")
def shared_postgres(blank_postgres: Postgres, store_guardian: Guardian) -> Iterator[Server]:
    """The run's PostgreSQL. Don't break it: others need it after you."""
    server = _postgres(blank_postgres, store_guardian)
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_redis(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """The run's Redis. Don't break it: others need it after you."""
    server = _redis(store_folder, store_guardian, durable=False)
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_template(shared_postgres: Server) -> Callable[[str, Callable[[str], object]], Template]:
    """Make a template with `postgres_template(name, migrate)`; `migrate` gets a URL and builds the schema."""
    from bookstore.stores.template import Template

    def make(name: str, migrate: Callable[[str], object]) -> Template:
        return Template(shared_postgres.url, name, migrate)

    return make


@pytest.fixture(scope="session")
def empty_template(postgres_template: Callable[[str, Callable[[str], object]], Template]) -> Template:
    """The template of `postgres_database`."""
    return postgres_template("empty", lambda _: None)


@pytest.fixture
def postgres_database(empty_template: Template) -> Iterator[str]:
    """The URL of a fresh, empty database that belongs to an ordinary user."""
    with empty_template.fresh() as url:
        yield url


@pytest.fixture
def redis_url(shared_redis: Server) -> str:
    """The URL of an empty Redis."""
    from bookstore.stores.redis import redis_command

    answer = redis_command(shared_redis.url, "FLUSHALL")
    assert answer == "+OK", answer  # noqa: S101 - a plugin speaks in assertions
    return shared_redis.url


@pytest.fixture
def postgres_server(blank_postgres: Postgres, store_guardian: Guardian) -> Iterator[Server]:
    """A PostgreSQL for this test alone; its `url` is the administrator's."""
    server = _postgres(blank_postgres, store_guardian)
    yield server
    server.close()


@pytest.fixture
def redis_server(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """A Redis for this test alone; it remembers its data over a restart."""
    server = _redis(store_folder, store_guardian, durable=True)
    yield server
    server.close()
