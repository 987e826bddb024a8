"""Backup and restore under load, by the very commands of docs/operations/backup.md."""

import os
import re
import secrets
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from bookstore.service.migrate import upgrade
from bookstore.stores.binaries import postgres_installation
from bookstore.stores.provision import Database, provision
from bookstore.stores.redis import redis_command

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

GUIDE = Path(__file__).parents[2] / "docs/operations/backup.md"
BACKUP, RESTORE, ADVANCE, COMPARE = (
    block.splitlines()
    for block in re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
)
NAMES = ("orders", "books", "accounts")


class Operator:
    """Somebody who does what the guide says, in a folder of their own."""

    def __init__(self, folder, before, after):
        self.before, self.after = before, after
        self._folder = folder
        self._services = folder / "services.conf"
        tools = postgres_installation() / "bin"
        self._environment = {**os.environ, "PGSERVICEFILE": str(self._services)}
        self._environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
        with self._services.open("a") as file:
            for name, url in (*before.items(), *((f"new-{name}", url) for name, url in after.items())):
                at = urlsplit(url)
                file.write(
                    f"[{name}]\nhost={at.hostname}\nport={at.port}\ndbname={at.path[1:]}\n"
                    f"user={at.username}\npassword={unquote(at.password)}\n"
                )

    def types(self, command):
        """Run a command of the guide; gives what it says."""
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        return result.stdout


def _databases(server, *, migrated):
    made = {name: Database(f"{name}_db", f"{name}_user", secrets.token_urlsafe(12)) for name in NAMES}
    provision(server.url, made.values())
    urls = {name: database.url(server.url) for name, database in made.items()}
    for name in NAMES if migrated else ():
        upgrade(f"bookstore.{name}", urls[name])
    return urls


@pytest.fixture
def operator(postgres_server, fresh_server, tmp_path):
    """With the databases of the system that will be lost, and empty ones on a server that knows nothing."""
    return Operator(
        tmp_path, _databases(postgres_server, migrated=True), _databases(fresh_server, migrated=False)
    )


def _ask(url, query):
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def test_no_acknowledged_order_is_lost(operator, running, redis_server, tmp_path, eventually):
    before, after = operator.before, operator.after
    effects = str(tmp_path / "effects")
    with running(redis_server.url, before["books"], before["orders"], effects=effects) as shop:
        book = shop.book()
        with shop.under_load(book, most=2000) as taken:
            eventually(lambda: len(taken) > 50)
            acknowledged = frozenset(taken)
            for command in BACKUP:
                operator.types(command)
                # Each dump is younger than the one before by orders that were taken and done.
                lost = [shop.order(book) for _ in range(10)]
                shop.has_done(lost)
        shop.has_done(taken)
        supplied = set(shop.effects())

    for command in (*RESTORE, "\n".join(ADVANCE)):
        operator.types(command)
    assert redis_command(redis_server.url, "FLUSHALL") == "+OK"
    restored = set(_ask(after["orders"], "SELECT id FROM orders"))
    assert acknowledged <= restored
    assert restored.isdisjoint(lost)

    with running(redis_server.url, after["books"], after["orders"], effects=effects) as shop:
        shop.has_done(restored)
        new = [shop.order(book) for _ in range(5)]
        assert supplied.isdisjoint(new)
        shop.has_done(new)
        # What was held for orders that are lost is let go of.
        eventually(lambda: not _ask(after["books"], "SELECT id FROM reservations WHERE state = 'held'"))
        owed = "SELECT id FROM ledger WHERE finished_at IS NULL OR state = 'dead'"
        eventually(lambda: not _ask(after["orders"], owed))
    *_, told = [operator.types(command) for command in COMPARE]
    committed = _ask(after["books"], "SELECT id FROM reservations WHERE state = 'committed'")
    ordered = _ask(after["orders"], "SELECT reservation_id FROM orders")
    # Of each restored order the copies are sold, once; those sold to nobody are told of, and no others.
    assert len(committed) == len(ordered) + len(told.split())
    assert {*committed} == {*ordered, *told.split()}
    assert len(told.split()) >= 10
