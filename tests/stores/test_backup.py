"""Backup and restore under load, by the very commands of docs/operations/backup.md."""

import os
import re
import secrets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest

from bookstore.accounts.app import create_app
from bookstore.accounts.settings import AccountsSettings
from bookstore.service.migrate import upgrade
from bookstore.service.testing import serving
from bookstore.service.testing.patience import patient
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
PASSWORD = "a long enough secret"


class Operator:
    """Somebody who does what the guide says, in a folder of their own."""

    def __init__(self, folder, before, after):
        self.before, self.after = before, after
        self.folder = folder
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
            cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False,
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


@dataclass(frozen=True)
class Member:
    """Somebody whose registration was acknowledged, and who has logged in."""

    email: str
    id: int
    customer_id: int
    token: str


class House:
    """Accounts as it is served, and those who come to it, each from an address of their own."""

    _numbers = count(1)

    def __init__(self, client, url):
        self.url = url
        self._client = client

    def join(self):
        number = next(self._numbers)
        email = f"member-{number}@example.com"
        told = self._client.post("/auth/register", json={"email": email, "password": PASSWORD, "name": "Ana"})
        me = told.raise_for_status().json()
        return Member(email, me["id"], me["customer_id"], self.log_in(email).json()["access_token"])

    def log_in(self, email):
        number = int(re.search(r"\d+", email)[0])
        address = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
        return self._client.post("/auth/login", json={"email": email, "password": PASSWORD}, headers=address)

    def me(self, token):
        return self._client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def house(eventually):
    """Accounts over a database; the secret of its keys is kept apart from it, and is the same ever after."""
    secret = secrets.token_urlsafe(32)

    @contextmanager
    def opened(database_url):
        settings = AccountsSettings(
            database_url=database_url, port=0, access_log=False, trusted_proxies="127.0.0.1",
            accounts_key_secret=secret, argon2_memory=8, argon2_passes=1,
        )  # fmt: skip
        with (
            serving(patient(lambda: create_app(settings))) as url,
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
        ):
            eventually(lambda: client.get("/health").json()["services"].get("keys") == "healthy")
            yield House(client, url)

    return opened


def _rows(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def _ask(url, query):
    return [row[0] for row in _rows(url, query)]


def test_no_acknowledged_order_is_lost(operator, running, house, redis_server, eventually):
    """Nor anybody who was welcomed; and nobody is taken for somebody who is lost."""
    before, after = operator.before, operator.after
    effects = str(operator.folder / "effects")
    with (
        house(before["accounts"]) as people,
        running(
            redis_server.url, before["books"], before["orders"], effects=effects, accounts=people.url
        ) as shop,
    ):
        book = shop.book()
        with shop.under_load(book, most=2000) as taken:
            eventually(lambda: len(taken) > 50)
            members = [people.join() for _ in range(5)]
            acknowledged = {shop.order(book, member.token): member.customer_id for member in members}
            acknowledged |= dict.fromkeys(taken)
            for command in BACKUP:
                operator.types(command)
                # Each dump is younger than the one before by orders that were taken and done,
                # and by people who have come and ordered.
                strangers = [people.join() for _ in range(3)]
                lost = [shop.order(book) for _ in range(7)]
                lost += [shop.order(book, each.token) for each in strangers]
                shop.has_done(lost)
        shop.has_done({*taken, *acknowledged})
        supplied = set(shop.effects())

    for command in (*RESTORE, "\n".join(ADVANCE)):
        operator.types(command)
    assert redis_command(redis_server.url, "FLUSHALL") == "+OK"
    restored = dict(_rows(after["orders"], "SELECT id, customer_id FROM orders"))
    assert acknowledged.items() <= restored.items()
    assert restored.keys().isdisjoint(lost)
    # Whoever an order names is in the younger dump.
    known = {None, *_ask(after["accounts"], "SELECT id FROM customers")}
    assert known >= {*restored.values()}
    assert known.isdisjoint(stranger.customer_id for stranger in strangers)

    with (
        house(after["accounts"]) as people,
        running(
            redis_server.url, after["books"], after["orders"], effects=effects, accounts=people.url
        ) as shop,
    ):
        shop.has_done(restored)
        for member in members:
            assert people.log_in(member.email).status_code == 200
            assert people.me(member.token).json()["id"] == member.id  # the key that signed it is there too
        news = [people.join() for _ in range(5)]
        assert {each.id for each in news}.isdisjoint(each.id for each in strangers)
        assert {each.customer_id for each in news}.isdisjoint(each.customer_id for each in strangers)
        for stranger in strangers:
            assert people.log_in(stranger.email).status_code == 401
            assert people.me(stranger.token).status_code == 401
        shop.has_done([shop.order(book, each.token) for each in (*members, *news)])
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
