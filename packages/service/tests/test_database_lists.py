"""What is written quickly is read as what it was."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookstore.service.database import Database
from bookstore.service.database_lists import ADAPTERS, PlainListDumper


class Size(IntEnum):
    LARGE = 3


class Title(str):
    __slots__ = ()


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=3)
LISTS = st.one_of(
    st.tuples(st.just(kind), st.lists(st.one_of(st.none(), items)))
    for kind, items in (("text", TEXTS), ("bigint", NUMBERS), ("numeric", AMOUNTS))
)


@pytest.fixture(scope="module")
def connection(shared_postgres):
    with closing(psycopg.connect(shared_postgres.url, autocommit=True, context=ADAPTERS)) as connection:
        yield connection


def read(connection, kind, items):
    (row,) = connection.execute(f"SELECT %s::{kind}[]", (items,)).fetchone()
    return row


@settings(max_examples=300, deadline=None)
@given(LISTS)
def test_a_list_is_read_as_it_was(connection, case):
    kind, items = case
    assert read(connection, kind, items) == items


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        ("text", ["NULL", "null", "", " ", '"', "\\", '\\"', "{", "}", "a,b", "\n\t", "é 漢 😀", None]),
        ("text", []),
        ("text", [None, None]),
        ("text", ["x" * 100_000]),
        ("text", [["a,", "b"], ['"', None]]),
        ("text", [Title("one"), Title('"two"')]),
        ("int", [Size.LARGE, None]),
        ("int", [2**31 - 1, -(2**31)]),
        ("bigint", [[1, 2], [3, 4]]),
        ("boolean", [True, False, None]),
        ("float", [1.5, -0.0, float("inf")]),
        ("numeric", [Decimal("1E+3"), Decimal("0.00"), Decimal("-7.250"), Decimal("Infinity")]),
        ("uuid", [UUID(int=7), None]),
        ("bytea", [b"", b"\0\xff,{}"]),
        ("timestamptz", [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)]),
    ],
)
def test_what_is_easily_got_wrong(connection, kind, items):
    assert read(connection, kind, items) == items


def test_numbers_that_are_none(connection):
    (found,) = read(connection, "numeric", [Decimal("NaN")])
    assert found.is_nan()


def test_nul_is_refused_and_not_the_end_of_the_text(connection):
    with pytest.raises(psycopg.DataError):
        read(connection, "text", ["kept\0lost"])


def test_a_type_that_the_query_finds_by_itself(connection):
    rows = connection.execute(
        "SELECT n FROM generate_series(1, 5) AS n WHERE n = ANY(%s)", ([2, 9, 4],)
    ).fetchall()
    assert rows == [(2,), (4,)]


def test_another_encoding_of_the_connection(shared_postgres):
    with closing(
        psycopg.connect(shared_postgres.url, client_encoding="latin1", context=ADAPTERS)
    ) as connection:
        assert read(connection, "text", ["é"]) == ["é"]


async def test_a_service_writes_so(shared_postgres):
    database = Database(shared_postgres.url, patience=5.0, acquire=5.0)
    async with database, database.connection() as connection:
        cursor = await connection.execute("SELECT %s::text[], %s::bigint[]", (['a"b'], [7]))
        assert await cursor.fetchone() == (['a"b'], [7])
        how = psycopg.adapt.PyFormat.AUTO
        assert connection.adapters.get_dumper(list, how) is PlainListDumper
