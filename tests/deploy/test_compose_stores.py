"""What compose starts its stores with does what it should, tried with those that come with the package."""

import itertools
import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import yaml
from compose_rules import DEPLOY, LONG, said
from redis import Redis
from redis.exceptions import AuthenticationError

from bookstore.stores import binaries
from bookstore.stores.ports import any_free
from bookstore.stores.redis import redis_answers

OWNERS = {"accounts_db": "accounts_user", "books_db": "books_user", "orders_db": "orders_user"}
PASSWORDS = {f"{name.upper()}_PASSWORD": f"it's {name}'s" for name in ("accounts", "books", "orders")}


def psql(url, **environment):
    """The file, as PostgreSQL's image runs it."""
    return subprocess.run(
        [binaries.postgres_installation() / "bin" / "psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", url],
        input=(DEPLOY / "k8s/stores/databases.sql").read_text(),
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def seen(url, user, database, password):
    """Who one is, if one gets in."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    owned = urlunsplit(("postgresql", host, f"/{database}", "", ""))
    try:
        with psycopg.connect(owned, user=user, password=password) as connection:
            return connection.execute("SELECT current_user").fetchone()[0]
    except psycopg.OperationalError:
        return None


def test_each_service_gets_a_database_that_no_other_gets_into(postgres_server):
    refused = psql(postgres_server.url, BOOKS_PASSWORD="one", ORDERS_PASSWORD="of them is missing")
    assert refused.returncode != 0
    made = psql(postgres_server.url, **PASSWORDS)
    assert made.returncode == 0, made.stderr
    for user, database in itertools.product(OWNERS.values(), OWNERS):
        password = PASSWORDS[f"{user.removesuffix('_user').upper()}_PASSWORD"]
        expected = user if OWNERS[database] == user else None
        assert seen(postgres_server.url, user, database, password) == expected, (user, database)
        assert seen(postgres_server.url, user, database, "another") is None


@pytest.fixture
def server(tmp_path):
    """Redis as compose starts it; the server that comes with the package has the name that it has there."""
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["redis"]
    port = any_free()
    words = [
        said(word).replace("valkey-server -", f"valkey-server - --port {port}") for word in service["command"]
    ]
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(binaries.redis_server())
    (tmp_path / "data").mkdir()
    process = subprocess.Popen(
        words,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "REDIS_PASSWORD": LONG},
        cwd=tmp_path / "data",
        stdout=subprocess.DEVNULL,
    )
    process.url = f"redis://:{LONG}@127.0.0.1:{port}/0"
    yield process
    process.kill()
    process.wait()


def test_redis_keeps_what_is_owed_behind_a_password_that_nobody_sees(server, eventually):
    client = Redis.from_url(server.url)
    eventually(lambda: redis_answers(server.url))
    assert LONG not in Path(f"/proc/{server.pid}/cmdline").read_text()
    with pytest.raises(AuthenticationError):
        Redis.from_url(server.url.replace(LONG, "")).ping()
    # The worker refuses a Redis that evicts what has no time to live.
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    client.close()
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
