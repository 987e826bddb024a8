"""No forged token gets anywhere: one table, tried wherever books and orders need a token."""

from contextlib import contextmanager

import httpx
import pytest

from bookstore.books import app as books
from bookstore.books.settings import BooksSettings
from bookstore.orders import app as orders
from bookstore.orders.settings import OrdersSettings
from bookstore.service.testing import Issuer, forgeries, serving

SERVICES = {
    "books": (books.create_app, BooksSettings, {}),
    "orders": (orders.create_app, OrdersSettings, {"books_service_url": "http://127.0.0.1:1"}),
}


GUARDED = {"books": {("POST", "/v1/books"), ("DELETE", "/v2/books/book_id")}, "orders": set()}
"""Some of the operations that must be found; an empty set would prove nothing else."""


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@contextmanager
def running(name, database_url, accounts):
    create, kind, more = SERVICES[name]
    settings = kind(
        port=0,
        access_log=False,
        auth_required=True,
        database_url=database_url,
        accounts_service_url=accounts,
        **more,
    )
    with serving(lambda: create(settings)) as url, httpx.Client(base_url=url, timeout=10) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


def guarded(client):
    """The operations that need a person's token, by what the service says of itself."""
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if {"bearer": []} in operation.get("security", ()):
                yield method.upper(), path.replace("{", "").replace("}", "")


@pytest.mark.parametrize("name", SERVICES)
def test_every_forgery_is_refused_wherever_a_token_is_needed(name, issuer, empty_template):
    with (
        issuer.publishing() as accounts,
        empty_template.fresh() as database_url,
        running(name, database_url, accounts) as client,
    ):
        operations = list(guarded(client))
        assert GUARDED[name] <= set(operations)
        for what, token in forgeries(issuer).items():
            for method, path in operations:
                answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"})
                told = answer.status_code, answer.json()["type"].rpartition(":")[2]
                assert told == (401, "invalid-token"), (what, method, path)
        good = issuer.bearer("ops")
        statuses = {client.request(method, path, headers=good).status_code for method, path in operations}
        assert not statuses & {401, 403}
