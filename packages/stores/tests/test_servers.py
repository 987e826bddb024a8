"""Servers that are frozen, killed and restarted."""

import os
import socket
import subprocess

import psycopg
import pytest

from bookstore.stores.errors import StoreError
from bookstore.stores.postgres import postgres_answers
from bookstore.stores.process import ProcessId
from bookstore.stores.redis import redis_answers, redis_command


def test_postgres_keeps_its_data_over_a_crash(postgres_server):
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    family = ProcessId.of(postgres_server.pid).family()
    postgres_server.kill()
    assert len(family) > 3
    assert not any(member.alive for member in family)
    assert not postgres_server.store.answers()
    postgres_server.start()
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_a_frozen_postgres_is_silent_and_then_goes_on(postgres_server):
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        postgres_server.freeze()
        assert postgres_server.running
        assert not postgres_server.store.answers(timeout=0.2)
        postgres_server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres_server.restart()
    assert postgres_server.store.answers()


def test_a_frozen_server_can_be_killed(redis_server):
    assert redis_command(redis_server.url, "SET", "key", "value") == "+OK"
    redis_server.freeze()
    assert not redis_answers(redis_server.url, timeout=0.2)
    redis_server.kill()
    assert not redis_server.running
    redis_server.start()
    assert redis_answers(redis_server.url)
    assert redis_command(redis_server.url, "DBSIZE") == ":1"


def test_strangers_are_kept_out(postgres_server, redis_server):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres_server.port}/postgres")
    assert redis_command(f"redis://127.0.0.1:{redis_server.port}/0", "PING").startswith("-NOAUTH")
    assert redis_command(f"redis://:wrong@127.0.0.1:{redis_server.port}/0", "PING").startswith("-WRONGPASS")
    assert not redis_answers(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")


def test_a_port_that_nobody_listens_on_doesnt_answer(redis_server):
    redis_server.stop()
    assert not postgres_answers("127.0.0.1", redis_server.port)
    assert not redis_answers(redis_server.url)


def test_a_server_that_cant_start_says_why(redis_server):
    redis_server.stop()
    with (
        socket.create_server(("127.0.0.1", redis_server.port)),
        pytest.raises(StoreError, match="Address already in use"),
    ):
        redis_server.start()


def test_the_data_is_nobody_elses(postgres_server, redis_server):
    for server, name in ((postgres_server, "pg_hba.conf"), (redis_server, "redis.conf")):
        assert server.store.folder.stat().st_mode & 0o777 == 0o700
        assert (server.store.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_lock_file_of_a_dead_postmaster_is_no_obstacle(postgres_server):
    """Neither a corpse that nobody has buried nor a stranger under its pid keeps PostgreSQL from starting."""
    lock = postgres_server.store.folder / "postmaster.pid"
    postgres_server.stop()
    with subprocess.Popen(["/bin/true"]) as corpse:
        os.waitid(os.P_PID, corpse.pid, os.WEXITED | os.WNOWAIT)
        for pid in (corpse.pid, os.getpid()):
            lock.write_text(f"{pid}\n")
            postgres_server.start()
            postgres_server.kill()
