"""What more than one measurement starts: stores, books, and a look at the processor."""

import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.postgres import Postgres
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

BOOKS = 200
PATIENCE = 30


@contextmanager
def stores(folder: Path):
    """The URLs of a PostgreSQL with durable commits, and of a Redis."""
    guardian = Guardian()
    guardian.watch_folder(folder)
    password = secrets.token_urlsafe(12)
    kinds = {"postgres": Postgres, "redis": Redis}
    try:
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    Server(
                        kind(
                            folder=folder / name, port=any_free(), password=password, account=unprivileged()
                        ),
                        guardian,
                    )
                ).url
                for name, kind in kinds.items()
            ]
    finally:
        guardian.close()
        shutil.rmtree(folder, ignore_errors=True)


def books(database: str, redis: str, *, access_log: bool):
    """One process of books, with a full catalogue."""
    return service(
        "bookstore.books",
        f"/v1/books/{BOOKS}",
        DATABASE_URL=database,
        REDIS_URL=redis,
        CACHE_TTL="3600",
        SEED_CATALOGUE="true",
        ACCESS_LOG=str(access_log).lower(),
    )


@contextmanager
def service(module: str, ready: str, **settings: str):
    """One process of a service; its log goes nowhere, but is written; port and pid."""
    port = any_free()
    given = {"PORT": str(port), "DRAIN_ANNOUNCE": "0", **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", module], env={**os.environ, **given}, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}{ready}", process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody answered at {url}")


def cpu_seconds(pid: int) -> float:
    """What the process has used of the processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
