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
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bookstore.stores.guardian import Guardian
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


def _started(kind: str, folder: Path, guardian: Guardian, *, durable: bool = False) -> Server:
    from bookstore.stores.account import unprivileged
    from bookstore.stores.errors import StoreError
    from bookstore.stores.ports import any_free
    from bookstore.stores.postgres import Postgres
    from bookstore.stores.redis import Redis
    from bookstore.stores.server import Server

    make = {"postgres": Postgres, "redis": Redis}[kind]
    home = folder / f"{kind}-{secrets.token_hex(4)}"
    for attempt in range(ATTEMPTS):
        store = make(
            folder=home,
            port=any_free(),
            password=secrets.token_urlsafe(12),
            account=unprivileged(),
            durable=durable,
        )
        server = Server(store, guardian)
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
def shared_postgres(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """The run's PostgreSQL. Don't break it: others need it after you."""
    server = _started("postgres", store_folder, store_guardian)
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_redis(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """The run's Redis. Don't break it: others need it after you."""
    server = _started("redis", store_folder, store_guardian)
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
def postgres_server(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """A PostgreSQL for this test alone; its `url` is the administrator's."""
    server = _started("postgres", store_folder, store_guardian)
    yield server
    server.close()


@pytest.fixture
def redis_server(store_folder: Path, store_guardian: Guardian) -> Iterator[Server]:
    """A Redis for this test alone; it remembers its data over a restart."""
    server = _started("redis", store_folder, store_guardian, durable=True)
    yield server
    server.close()
