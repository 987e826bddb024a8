"""Redis and PostgreSQL that speak TLS alone: told by their URLs, and used only if they are who they say."""

import secrets
import shutil
import tempfile
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from redis.exceptions import RedisError
from secure import Authority, SecurePostgres, SecureRedis, postgres_programs, redis_program

from bookstore.service.database import Database, DatabaseUnavailable
from bookstore.service.migrate import upgrade
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home
from bookstore.service.redis_session import RedisAway, Session
from bookstore.service.redis_url import read
from bookstore.stores import redis_place
from bookstore.stores.account import unprivileged
from bookstore.stores.ports import LOOPBACK, any_free
from bookstore.stores.provision import Database as Owned
from bookstore.stores.provision import provision
from bookstore.stores.server import Server

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not postgres_programs(), reason="no distribution's PostgreSQL is here"),
    pytest.mark.skipif(not redis_program(), reason="redis-tools isn't here"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("trusted") / "ours")


@pytest.fixture(scope="module")
def home(store_guardian):
    """A folder that others may walk through."""
    folder = Path(tempfile.mkdtemp(prefix="bookstore-tests-"))
    store_guardian.watch_folder(folder)
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    store_guardian.forget_folder(folder)


@pytest.fixture(scope="module")
def started(authority, home, store_guardian):
    """Starts a store whose certificate is for this host."""
    with ExitStack() as stack:

        def start(kind, host=LOOPBACK):
            name = f"secure-{secrets.token_hex(4)}"
            key, certificate = authority.certify(name, host)
            store = kind(
                folder=home / name, port=any_free(), password=secrets.token_urlsafe(12),
                account=unprivileged(), key=key, certificate=certificate, authority=authority.path,
            )  # fmt: skip
            return stack.enter_context(Server(store, store_guardian))

        yield start


@pytest.fixture(scope="module")
def redis(started):
    return started(SecureRedis)


@pytest.fixture(scope="module")
def postgres(started):
    return started(SecurePostgres)


@pytest.fixture(scope="module", params=["a stranger signed it", "it is somebody else's", "no TLS"])
def refused(request, tmp_path_factory, started):
    """Makes a URL that must lead nowhere, of one that is good."""
    strange = Authority.make(tmp_path_factory.mktemp("strange") / "theirs").path

    def make(server, *words):
        match request.param:
            case "a stranger signed it":
                return server.url.replace(str(server.store.authority), str(strange))
            case "it is somebody else's":
                return started(type(server.store), "elsewhere.example").url
            case _:
                return words[0]

    return make


def test_a_shop_runs_on_them(redis, postgres, running):
    """Their owners' URLs are made of the administrator's, and migrations go the same way."""
    owned = [Owned(f"{name}_db", f"{name}_user", secrets.token_urlsafe(12)) for name in ("books", "orders")]
    provision(postgres.url, owned)
    urls = [each.url(postgres.url) for each in owned]
    for url, package in zip(urls, ("bookstore.books", "bookstore.orders"), strict=True):
        upgrade(package, url)
    with running(redis.url, *urls) as shop:
        book = shop.book()
        shop.has_done([shop.order(book) for _ in range(10)])
        told = {name: shop.http.get(f"{url}/health").json() for name, url in
                {"books": shop.books, "orders": shop.orders}.items()}  # fmt: skip
        assert {each["status"] for each in told.values()} == {"healthy"}
        kept = shop.http.get(f"{shop.books}/v2/books/{book}")
        assert kept.status_code == 200
    with psycopg.connect(postgres.url) as connection:
        [seen] = connection.execute(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE client_port > 0 AND NOT ssl"
        ).fetchall()
    assert seen == (0,)


def test_the_whole_system_runs_on_them(redis, started, whole_system):
    """With databases and users that it makes itself, and a monitor that trusts who it is told to."""
    whole_system(REDIS_URL=redis.url, DATABASE_URL=started(SecurePostgres).url)


@asynccontextmanager
async def _spoken(url):
    """The session that our own clients speak."""
    place, session = read(url), Session(5.0)
    try:
        await session.reach(place.seeds[0], place.login, place.tls)
        yield session
    finally:
        session.end("done")


async def test_redis_is_used_by_all_clients(redis):
    async with connect(Home(redis.url, "key"), patience=5.0) as client, _spoken(redis.url) as session:
        assert await client.set("key", b"1")
        assert await session.ask("GET", "key") == b"1"
    assert redis_place.read(redis.url).complaint(10.0) is None


async def test_a_redis_that_is_not_who_it_says_is_given_nothing(redis, refused):
    url = refused(redis, redis.url.replace("rediss", "redis").partition("?")[0])
    async with connect(Home(url, "key"), patience=5.0) as client:
        with pytest.raises(RedisError):
            await client.set("key", b"2")
    with pytest.raises((OSError, RedisAway)):
        async with _spoken(url):
            pass
    assert redis_place.read(url).complaint(10.0)


async def test_a_postgresql_that_is_not_who_it_says_is_given_nothing(postgres, refused):
    url = refused(postgres, postgres.url.replace("sslmode=verify-full", "sslmode=disable"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    async with Database(url, patience=0.5) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.fetch("SELECT 1")
