"""The command: two at once on an empty database, and what stands in the way of a start."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from time import monotonic

import httpx
import psycopg
import pytest

from bookstore.books import catalogue
from bookstore.contracts.books import NewBookV2
from bookstore.contracts.values import decoder

PATIENCE = 20.0


def _environment(**settings):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "DRAIN_ANNOUNCE": "0", **settings}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _started(tmp_path, **settings):
    """A process of the command; gives its URL, and ends it in order."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "bookstore.books"],
        env=_environment(PORT=str(port), **settings),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert [json.loads(line)["message"] for line in output.splitlines()][-1] == "stopped"


def _ready(url):
    until = monotonic() + PATIENCE
    while monotonic() < until:
        try:
            answer = httpx.get(f"{url}/v2/books?limit=1")
        except httpx.TransportError:
            continue
        if answer.status_code == 200 and answer.json()["total"]:
            return
    raise TimeoutError(url)


def test_two_that_start_together_migrate_once_and_seed_once(postgres_database, tmp_path):
    settings = {"SEED_CATALOGUE": "true", "DEFAULT_STOCK": "7", "ACCESS_LOG": "false"}
    with (
        _started(tmp_path, DATABASE_URL=postgres_database, **settings) as first,
        _started(tmp_path, BOOKS_DB_DSN=postgres_database, **settings) as second,
    ):
        for url in (first, second):
            _ready(url)
        made = httpx.post(
            f"{first}/v1/books", json={"title": "Emma", "author": "Jane Austen", "price": 1}
        ).json()
        assert httpx.get(f"{second}/v1/books/{made['id']}").json() == made
        assert httpx.get(f"{second}/v1/books?limit=1").json() == [made]
        assert httpx.delete(f"{second}/v1/books/{made['id']}").status_code == 200
    expected = catalogue.books()
    with psycopg.connect(postgres_database) as database:
        rows = database.execute(
            "SELECT title, author, price, on_hand FROM books WHERE active ORDER BY id"
        ).fetchall()
        [(revisions,)] = database.execute("SELECT count(*) FROM alembic_version").fetchall()
        [(times,)] = database.execute("SELECT count(DISTINCT created_at) FROM books WHERE active").fetchall()
    assert [(title, author, str(price), stock) for title, author, price, stock in rows] == [
        (book["title"], book["author"], book["price"], 7) for book in expected
    ]
    assert (revisions, times) == (1, len(expected))


def test_a_store_that_was_emptied_by_its_owner_stays_empty(database_url, run_books, add):
    with run_books(database_url) as client:
        assert client.delete(f"/v1/books/{add(client)['id']}").status_code == 200
    with run_books(database_url, seed_catalogue=True) as client:
        assert client.get("/v2/books").json()["total"] == 0


def test_the_catalogue_is_fit_for_its_own_rules():
    books = catalogue.books()
    assert len(books) > 150
    assert len({(book["title"], book["author"]) for book in books}) == len(books)
    read = decoder(NewBookV2).decode
    for book in books:
        made = read(json.dumps(book))
        assert (made.title, made.author, str(made.price)) == (book["title"], book["author"], book["price"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "DATABASE_URL: required"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL: must look like postgresql://"),
        ({"DATABASE_URL": "postgresql://h/d", "PORT": "x"}, "PORT: "),
        ({"DATABASE_URL": "postgresql://h/d", "DEFAULT_STOCK": "-1"}, "DEFAULT_STOCK: "),
        ({"DATABASE_URL": "postgresql://h/d", "BOOKS_STOCK": "1"}, "BOOKS_STOCK: unknown setting"),
    ],
)
def test_a_bad_setting_is_named_and_nothing_starts(tmp_path, settings, says):
    done = subprocess.run(
        [sys.executable, "-m", "bookstore.books"],
        env=_environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert f"books: {says}" in done.stderr
