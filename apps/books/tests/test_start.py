"""The command: two at once on an empty database, and what stands in the way of a start."""

import asyncio
import json
import subprocess
import sys
import zlib
from time import monotonic, sleep

import httpx
import psycopg

from bookstore.books.catalogue import opening
from bookstore.books.catalogue.store import BookStore
from bookstore.contracts.books import NewBookV2
from bookstore.contracts.values import decoder
from bookstore.service.database import Database
from bookstore.service.schema import head
from bookstore.service.testing.process import environment, started

PATIENCE = 60.0


def _ready(url):
    until = monotonic() + PATIENCE
    with httpx.Client(base_url=url) as client:
        while monotonic() < until:
            try:
                if client.get("/v2/books?limit=1").json().get("total"):
                    return
            except httpx.TransportError:
                sleep(0.02)
    raise TimeoutError(url)


def test_two_that_start_together_migrate_once_and_seed_once(postgres_database, tmp_path):
    settings = {"SEED_CATALOGUE": "true", "DEFAULT_STOCK": "7", "ACCESS_LOG": "false"}
    with (
        started("bookstore.books", tmp_path, DATABASE_URL=postgres_database, **settings) as first,
        started("bookstore.books", tmp_path, BOOKS_DB_DSN=postgres_database, **settings) as second,
    ):
        for url in (first, second):
            _ready(url)
        made = httpx.post(
            f"{first}/v1/books", json={"title": "Emma", "author": "Jane Austen", "price": 1}
        ).json()
        assert httpx.get(f"{second}/v1/books/{made['id']}").json() == made
        assert httpx.get(f"{second}/v1/books?limit=1").json() == [made]
        assert httpx.delete(f"{second}/v1/books/{made['id']}").status_code == 200
    expected = opening.books()
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


def test_two_migrations_at_once_take_turns_and_both_succeed(postgres_database):
    command = [sys.executable, "-m", "bookstore.service.migrate", "bookstore.books"]
    with psycopg.connect(postgres_database, autocommit=True) as observer:
        with psycopg.connect(postgres_database) as first:
            # Whoever is first holds the lock: both processes meet it, and neither has begun.
            first.execute("SELECT pg_advisory_xact_lock(%s)", [zlib.crc32(b"bookstore.books")])
            processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
            for process in processes:
                process.stdin.write(postgres_database.encode())
                process.stdin.close()
            until = monotonic() + PATIENCE
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while observer.execute(waiting).fetchone() != (2,):
                assert monotonic() < until
                sleep(0.01)
        assert [process.wait(PATIENCE) for process in processes] == [0, 0]
        assert observer.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (head("bookstore.books"),)
        ]


async def test_many_that_fill_an_empty_catalogue_at_once_fill_it_once(database_url):
    books = opening.books()
    async with Database(database_url, size=6, acquire=20.0) as database:
        # All connections are open, so that all begin together.
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(6)))
        store = BookStore(database)
        await asyncio.gather(*(store.seed(books, 1, opening.FIRST_LISTED) for _ in range(6)))
        assert await database.fetch("SELECT count(*) FROM books") == [(len(books),)]


def test_a_store_that_was_emptied_by_its_owner_stays_empty(database_url, run_books, add):
    with run_books(database_url) as client:
        assert client.delete(f"/v1/books/{add(client)['id']}").status_code == 200
    with run_books(database_url, seed_catalogue=True) as client:
        assert client.get("/v2/books").json()["total"] == 0


def test_the_catalogue_is_fit_for_its_own_rules():
    books = opening.books()
    assert len(books) > 150
    assert len({(book["title"], book["author"]) for book in books}) == len(books)
    read = decoder(NewBookV2).decode
    for book in books:
        made = read(json.dumps(book))
        assert (made.title, made.author, str(made.price)) == (book["title"], book["author"], book["price"])


def test_all_bad_settings_are_named_at_once_and_nothing_starts(tmp_path):
    settings = {
        "PORT": "x",
        "DEFAULT_STOCK": "-1",
        "BOOKS_STOCK": "1",
        "BOOKS_DB_DSN": "mysql://u:secret@h/d",
    }
    done = subprocess.run(
        [sys.executable, "-m", "bookstore.books"],
        env=environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    says = [
        "DATABASE_URL: must look like postgresql://",
        "PORT: ",
        "DEFAULT_STOCK: ",
        "BOOKS_STOCK: unknown setting",
    ]
    for line in says:
        assert f"books: {line}" in done.stderr
    assert "secret" not in done.stderr
