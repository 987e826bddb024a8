"""The command: two at once on an empty database, and what stands in the way of a start."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from time import monotonic, sleep

import httpx
import psycopg

PATIENCE = 60.0


def _environment(**settings):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "DRAIN_ANNOUNCE": "0", **settings}


@contextmanager
def _started(tmp_path, **settings):
    """A process of the command; gives its URL, and ends it in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / f"{port}.log"
    with log.open("wb") as output:  # a pipe that nobody reads would stop the process once it is full
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "bookstore.orders"],
            env=_environment(PORT=str(port), **settings),
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert process.returncode == 0, log.read_text()
    assert json.loads(log.read_text().splitlines()[-1])["message"] == "stopped"


def _ready(url):
    until = monotonic() + PATIENCE
    with httpx.Client(base_url=url) as client:
        while monotonic() < until:
            try:
                if client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                sleep(0.02)
    raise TimeoutError(url)


def test_two_that_start_together_migrate_once_and_share_their_orders(postgres_database, books, tmp_path):
    settings = {"DATABASE_URL": postgres_database, "BOOKS_SERVICE_URL": books.url}
    with _started(tmp_path, **settings) as first, _started(tmp_path, **settings) as second:
        _ready(first)
        _ready(second)
        made = httpx.post(f"{first}/v1/orders", json={"book_id": 1, "quantity": 3})
        assert made.status_code == 201
        assert httpx.get(f"{second}/v1/orders/1").text == made.text
        assert httpx.get(f"{first}/whoami").json()["pid"] != httpx.get(f"{second}/whoami").json()["pid"]
    with psycopg.connect(postgres_database) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]


def test_all_bad_settings_are_named_at_once_and_nothing_starts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bookstore.orders"],
        env=_environment(BOOKS_SERVICE_URL="http://h:1/v1", BOOKS_TIMEOUT="0"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    for line in ("DATABASE_URL: required", "BOOKS_SERVICE_URL: must look like http://", "BOOKS_TIMEOUT: "):
        assert f"orders: {line}" in done.stderr
