"""Databases and users on a server, the service's rules among them."""

import psycopg
import pytest

from bookstore.stores.errors import StoreError
from bookstore.stores.provision import Database, provision, without_password

BOOKS = Database("books_db", "books_user", "books secret/:@")
ORDERS = Database("orders_db", "orders_user", "orders secret")


def test_each_service_gets_into_its_own_database_only(postgres_server):
    assert provision(postgres_server.url, [BOOKS]) == ["books_db"]
    assert provision(postgres_server.url, [BOOKS, ORDERS]) == ["orders_db"]
    with psycopg.connect(BOOKS.url(postgres_server.url), autocommit=True) as connection:
        connection.execute("CREATE TABLE books (id int)")
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            "books_user",
            "books_db",
        )
    theirs = Database("orders_db", BOOKS.owner, BOOKS.password)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(theirs.url(postgres_server.url))


def test_it_can_be_run_again_and_sets_the_password(postgres_server):
    provision(postgres_server.url, [BOOKS])
    with psycopg.connect(BOOKS.url(postgres_server.url), autocommit=True) as connection:
        connection.execute("CREATE TABLE books (id int)")
    renewed = Database("books_db", "books_user", "other")
    provision(postgres_server.url, [renewed])
    with psycopg.connect(renewed.url(postgres_server.url)) as connection:
        assert connection.execute("SELECT count(*) FROM books").fetchone() == (0,)


def test_an_administrator_needs_not_be_superuser(postgres_server):
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE helper LOGIN CREATEDB CREATEROLE PASSWORD 'h'")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'g'")
    url = f"postgresql://{{}}:{{}}@127.0.0.1:{postgres_server.port}/postgres"
    provision(url.format("helper", "h"), [BOOKS])
    provision(url.format("helper", "h"), [BOOKS])
    with psycopg.connect(BOOKS.url(postgres_server.url)):
        pass
    with pytest.raises(StoreError, match="may not create"):
        provision(url.format("guest", "g"), [ORDERS])


def test_a_server_that_is_away_is_named_without_its_password():
    with pytest.raises(StoreError, match=r"user@127\.0\.0\.1:1/x can't be used") as caught:
        provision("postgresql://user:hidden@127.0.0.1:1/x", [BOOKS])
    assert "hidden" not in str(caught.value)
    assert without_password("redis://127.0.0.1/0") == "redis://127.0.0.1/0"
