"""Which references PostgreSQL doesn't look up, and that they hold all the same: other tests enforce them."""

import psycopg
import pytest

from bookstore.service.migrate import upgrade
from bookstore.service.testing.references import enforce, unenforced

OF_ORDERS = {f"{table}_order_id_fkey" for table in ("order_lines", "order_events", "ledger", "reservations")}


def test_what_belongs_to_an_order_is_not_looked_up_for_each_row(postgres_database):
    upgrade("bookstore.orders", postgres_database)
    assert unenforced(postgres_database) == OF_ORDERS


def test_tests_enforce_them(database_url, query):
    assert unenforced(database_url) == set()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query("INSERT INTO order_events (order_id, to_state, cause) VALUES (1, 'Processing', 'ordered')")


def test_a_row_that_belongs_to_nothing_would_be_found(postgres_database):
    upgrade("bookstore.orders", postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as database:
        database.execute(
            "INSERT INTO order_events (order_id, to_state, cause) VALUES (1, 'Processing', 'ordered')"
        )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        enforce(postgres_database)
