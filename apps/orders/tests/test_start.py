"""The command: two at once on an empty database, and what stands in the way of a start."""

import subprocess
import sys

import httpx
import psycopg

from bookstore.service.schema import head
from bookstore.service.testing import environment, started, wait_until_ready

MODULE = "bookstore.orders"


def test_two_that_start_together_migrate_once_and_share_their_orders(postgres_database, books, tmp_path):
    settings = {"DATABASE_URL": postgres_database, "BOOKS_SERVICE_URL": books.url}
    with started(MODULE, tmp_path, **settings) as first, started(MODULE, tmp_path, **settings) as second:
        wait_until_ready(first)
        wait_until_ready(second)
        made = httpx.post(f"{first}/v1/orders", json={"book_id": 1, "quantity": 3})
        assert made.status_code == 201
        assert httpx.get(f"{second}/v1/orders/1").text == made.text
        assert httpx.get(f"{first}/whoami").json()["pid"] != httpx.get(f"{second}/whoami").json()["pid"]
    with psycopg.connect(postgres_database) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(MODULE),)]


def test_all_bad_settings_are_named_at_once_and_nothing_starts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", MODULE],
        env=environment(BOOKS_SERVICE_URL="http://h:1/v1", BOOKS_TIMEOUT="0"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert done.returncode == 2
    for line in ("DATABASE_URL: required", "BOOKS_SERVICE_URL: must look like http://", "BOOKS_TIMEOUT: "):
        assert f"orders: {line}" in done.stderr
