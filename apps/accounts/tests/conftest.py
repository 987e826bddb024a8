"""The accounts service on a real socket, over a real database; passwords are hashed as cheaply as can be."""

import base64
import itertools
import json
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from bookstore.accounts.app import create_app
from bookstore.accounts.settings import AccountsSettings
from bookstore.service import testing
from bookstore.service.migrate import upgrade
from bookstore.service.testing import eventually
from bookstore.service.testing.patience import patient
from bookstore.stores.provision import Database, provision

CHEAP = {"argon2_memory": 8, "argon2_passes": 1}
PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


@contextmanager
def _accounts(database_url, until=("/health", "keys"), *, hurried=False, **settings):
    """A running service, and a client whose address counts as that of a trusted proxy.

    One that isn't `hurried` bears a busy machine.
    """
    given = {"port": 0, "access_log": False, "trusted_proxies": "127.0.0.1", **CHEAP, **settings}

    def create():
        return create_app(AccountsSettings(database_url=database_url, **given))

    make = create if hurried else patient(create)
    with testing.serving(make) as url, httpx.Client(base_url=url, timeout=30) as client:
        # The tables and the first key are made after the start.
        path, dependency = until
        while client.get(path).json()["services"][dependency] != "healthy":
            pass
        yield client


@pytest.fixture(scope="session")
def run_accounts():
    return _accounts


@pytest.fixture(scope="session")
def accounts_template(postgres_template):
    return postgres_template("accounts", lambda url: upgrade("bookstore.accounts", url))


@pytest.fixture
def database_url(accounts_template):
    with accounts_template.fresh() as url:
        yield url


class House:
    """A database for this test alone, and services over it."""

    def __init__(self, url):
        self.url = url

    def run(self, **settings):
        return _accounts(self.url, **settings)

    def query(self, sql, *parameters):
        return _query(self.url, sql, *parameters)


@pytest.fixture
def house(database_url):
    return House(database_url)


@pytest.fixture
def own(database_url):
    """A service for this test alone."""
    with _accounts(database_url) as client:
        yield client


@pytest.fixture(scope="session")
def shared_url(accounts_template):
    with accounts_template.fresh() as url:
        yield url


@pytest.fixture(scope="session")
def shared(shared_url):
    """A service for all tests that mind their own people only."""
    with _accounts(shared_url) as client:
        yield client


def _query(url, sql, *parameters):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def query():
    """Run SQL as the service's own user; gives the rows."""
    return _query


@pytest.fixture
def email():
    """An address that nobody else has."""
    return f"reader{next(_numbers)}@example.com"


@pytest.fixture
def origin():
    """Headers of a client with an address that nobody else has."""
    number = next(_numbers)
    return {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}


class Person:
    """Somebody with an account, and what they would type."""

    def __init__(self, client, email, password=PASSWORD, **headers):
        self.client = client
        self.email = email
        self.password = password
        self.headers = headers
        self.tokens = None

    def register(self, name="Ana"):
        answer = self.client.post(
            "/auth/register", json={"email": self.email, "password": self.password, "name": name}
        )
        assert answer.status_code == 201, answer.text
        self.customer_id = answer.json()["customer_id"]
        return self

    def try_login(self, password=None):
        typed = {"email": self.email, "password": password or self.password}
        return self.client.post("/auth/login", json=typed, headers=self.headers)

    def log_in(self):
        answer = self.try_login()
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        return self

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    def refresh(self, token=None):
        body = {"refresh_token": token or self.tokens["refresh_token"]}
        return self.client.post("/auth/refresh", json=body)

    def get(self, path):
        return self.client.get(path, headers=self.bearer)


@pytest.fixture
def ana(shared, email, origin):
    """Somebody who has registered, and is logged in."""
    return Person(shared, email, **origin).register().log_in()


@pytest.fixture
def person():
    return Person


def _member(shared, shared_url, role):
    """Somebody who works here: registered like anybody, and then made one by hand."""
    member = Person(shared, f"{role}{next(_numbers)}@example.com").register()
    with psycopg.connect(shared_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE users SET role = %s, customer_id = NULL WHERE email = %s", (role, member.email)
        )
    return member.log_in()


@pytest.fixture(scope="session")
def staff(shared, shared_url):
    return _member(shared, shared_url, "staff")


@pytest.fixture(scope="session")
def ops(shared, shared_url):
    return _member(shared, shared_url, "ops")


@pytest.fixture
def claims_of():
    """What a token says, unverified."""

    def claims(token):
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    return claims


@pytest.fixture
def check_problem():
    return testing.check_problem


@pytest.fixture
def provisioned():
    """Make our database on a server of the test's own; gives its URL."""

    def make(server):
        database = Database("accounts_db", "accounts_user", "secret")
        provision(server.url, [database])
        return database.url(server.url)

    return make


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually
