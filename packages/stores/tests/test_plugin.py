"""The fixtures as their users see them."""

import psycopg
import pytest

from bookstore.stores.redis import redis_command


def migrate(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE books (id bigint PRIMARY KEY, title text NOT NULL)")
        connection.execute("INSERT INTO books VALUES (1, 'Dune')")


@pytest.fixture(scope="session")
def books_template(postgres_template):
    return postgres_template("books_template", migrate)


def test_a_fresh_database_is_empty_and_belongs_to_an_ordinary_user(postgres_database):
    with psycopg.connect(postgres_database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (
            0,
        )
        assert connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False,)
        connection.execute("CREATE TABLE mine (id int)")


@pytest.mark.parametrize("_round", [1, 2])
def test_each_clone_has_the_migrations_rows_and_no_one_elses(books_template, _round):
    with books_template.fresh() as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT title FROM books").fetchall() == [("Dune",)]
        connection.execute("INSERT INTO books VALUES (2, 'Emma')")
        connection.commit()


def test_a_clone_goes_away_under_an_open_connection(books_template):
    with books_template.fresh() as url:
        connection = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


@pytest.mark.parametrize("_round", [1, 2])
def test_redis_is_empty_for_each_test(redis_url, _round):
    assert redis_command(redis_url, "DBSIZE") == ":0"
    assert redis_command(redis_url, "SET", "key", "value") == "+OK"


async def test_the_fixtures_serve_async_tests_too(postgres_database):
    async with await psycopg.AsyncConnection.connect(postgres_database) as connection:
        cursor = await connection.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)
