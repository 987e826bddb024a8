"""Every shape on the wire: what it takes, what it refuses, and how money is written."""

import inspect
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore.contracts import (
    base,
    books,
    circuits,
    console,
    faults,
    health,
    lab,
    monitor,
    orders,
    problems,
    supplier,
)
from bookstore.contracts.base import Wire, number_money, text_money
from bookstore.contracts.books import BookChangeV2, BookV1, NewBookV1, NewBookV2
from bookstore.contracts.orders import (
    Change,
    History,
    Line,
    NewLine,
    NewOrderV1,
    NewOrderV2,
    OrderV1,
    StockCheck,
)
from bookstore.contracts.values import Price, Text, decoder

NOW = datetime(2025, 8, 21, 1, 25, 12, 438013, tzinfo=UTC)
WIRE = [
    kind
    for module in (base, books, circuits, console, faults, health, lab, monitor, orders, problems, supplier)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Wire) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", WIRE, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_shape_is_frozen_named_and_closed(kind):
    config = kind.__struct_config__
    assert (config.frozen, config.forbid_unknown_fields) == (True, True)
    parameters = inspect.signature(kind).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (NewBookV1, '{"title":"a","author":"b","price":"1"}'),
        (NewBookV2, '{"title":"a","author":"b","price":1.5,"description":null,"stock":null}'),
        (NewBookV2, '{"title":"a","author":"b","price":1,"description":"c","stock":0}'),
        (NewBookV2, '{"title":"a","author":"b","price":1,"stock":1000000000}'),
        (BookChangeV2, "{}"),
        (BookChangeV2, '{"title":null,"author":null,"price":null,"description":null}'),
        (NewOrderV1, '{"book_id":1,"quantity":10000}'),
        (NewOrderV1, '{"book_id":9223372036854775807,"quantity":1}'),
        (NewOrderV2, '{"items":[{"book_id":1,"quantity":2},{"book_id":1,"quantity":2}]}'),
    ],
)
def test_taken(kind, body):
    assert isinstance(decoder(kind).decode(body), kind)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (NewBookV1, '{"title":"a","author":"b"}'),
        (NewBookV1, '{"title":"a","author":"b","price":null}'),
        (NewBookV1, '{"title":"a","author":"b","price":1,"stock":1}'),
        (NewBookV1, '{"title":"a","author":"b","price":1,"id":1}'),
        (NewBookV2, '{"title":"a","author":"b","price":1,"stock":-1}'),
        (NewBookV2, '{"title":"a","author":"b","price":1,"stock":1.5}'),
        (NewBookV2, '{"title":"a","author":"b","price":1,"stock":1000000001}'),
        (BookChangeV2, '{"stock":1}'),
        (BookChangeV2, '{"title":""}'),
        (NewOrderV1, '{"book_id":0,"quantity":1}'),
        (NewOrderV1, '{"book_id":-1,"quantity":1}'),
        (NewOrderV1, '{"book_id":9223372036854775808,"quantity":1}'),
        (NewOrderV1, '{"book_id":1,"quantity":0}'),
        (NewOrderV1, '{"book_id":1,"quantity":10001}'),
        (NewOrderV1, '{"book_id":1,"quantity":2.0}'),
        (NewOrderV1, '{"book_id":1,"quantity":"2"}'),
        (NewOrderV1, '{"book_id":true,"quantity":2}'),
        (NewOrderV1, '{"book_id":1}'),
        (NewOrderV2, '{"items":[]}'),
        (NewOrderV2, '{"items":null}'),
        (NewOrderV2, '{"items":[{"book_id":1,"quantity":2,"price":1}]}'),
        (NewOrderV2, '{"book_id":1,"quantity":2}'),
    ],
)
def test_refused(kind, body):
    with pytest.raises(msgspec.ValidationError):
        decoder(kind).decode(body)


@pytest.mark.parametrize(("count", "taken"), [(1, True), (100, True), (101, False)])
def test_lines_are_counted_before_they_are_summed(count, taken):
    body = msgspec.json.encode({"items": [{"book_id": 1, "quantity": 1}] * count})
    if taken:
        assert len(decoder(NewOrderV2).decode(body).items) == count
    else:
        with pytest.raises(msgspec.ValidationError, match="items"):
            decoder(NewOrderV2).decode(body)


def _order(unit: Decimal, total: Decimal) -> OrderV1:
    return OrderV1(
        id=1,
        book_id=1,
        book_title="The Great Gatsby",
        book_author="F. Scott Fitzgerald",
        quantity=2,
        unit_price=unit,
        total_price=total,
        created_at=NOW,
        status="Processing",
        job_id=7,
    )


def test_an_order_of_the_walk_through():
    assert number_money.encode(_order(Decimal("12.99"), Decimal("25.98"))).decode() == (
        '{"id":1,"book_id":1,"book_title":"The Great Gatsby","book_author":"F. Scott Fitzgerald",'
        '"quantity":2,"unit_price":12.99,"total_price":25.98,"created_at":"2025-08-21T01:25:12.438013Z",'
        '"status":"Processing","job_id":7}'
    )


def test_a_history_says_from_where_to_where():
    first = Change(from_=None, to="Processing", at=NOW, cause="ordered")
    then = Change(from_="Processing", to="Validated", at=NOW, cause="validated")
    told = msgspec.json.encode(History(order_id=1, events=[first, then])).decode()
    assert told == (
        '{"order_id":1,"events":['
        '{"from":null,"to":"Processing","at":"2025-08-21T01:25:12.438013Z","cause":"ordered"},'
        '{"from":"Processing","to":"Validated","at":"2025-08-21T01:25:12.438013Z","cause":"validated"}]}'
    )
    assert msgspec.json.decode(told, type=History).events == [first, then]


def test_a_stock_check_of_the_walk_through():
    told = msgspec.json.encode(StockCheck(quantity=100, source="redis_cache"))
    assert told == b'{"quantity":100,"source":"redis_cache"}'


def test_a_book_of_the_walk_through():
    book = BookV1(
        id=1,
        title="The Great Gatsby",
        author="F. Scott Fitzgerald",
        price=Decimal("12.99"),
        active=True,
        created_at=NOW,
        updated_at=NOW,
    )
    assert text_money.encode(book).decode() == (
        '{"id":1,"title":"The Great Gatsby","author":"F. Scott Fitzgerald","price":"12.99","active":true,'
        '"created_at":"2025-08-21T01:25:12.438013Z","updated_at":"2025-08-21T01:25:12.438013Z"}'
    )


@given(st.decimals("0", "99999999999999.99", places=2))
def test_money_is_exact_in_both_encodings(amount):
    order = _order(amount, amount)
    assert f'"total_price":{amount},' in number_money.encode(order).decode()
    assert f'"total_price":"{amount}",' in text_money.encode(order).decode()
    for encoder in (number_money, text_money):
        assert msgspec.json.decode(encoder.encode(order), type=OrderV1) == order


def test_requests_can_be_written_too():
    new = NewBookV2(title=Text(" a "), author=Text("b"), price=Price(1))
    assert decoder(NewBookV2).decode(text_money.encode(new)) == new
    basket = NewOrderV2(items=[NewLine(book_id=1, quantity=2)])
    assert decoder(NewOrderV2).decode(text_money.encode(basket)) == basket


def test_a_line_names_what_was_bought():
    assert Line.__struct_fields__ == (
        "book_id", "book_title", "book_author", "quantity", "unit_price", "total_price",
    )  # fmt: skip


def test_a_problem_leaves_out_what_it_has_not():
    problem = problems.ProblemDetails(
        type=problems.NAMESPACE + "not-found",
        title="Not Found",
        status=404,
        detail="book 1 not found",
        instance="/v1/books/1",
        request_id="r",
    )
    assert msgspec.json.decode(msgspec.json.encode(problem)).keys() == {
        "type", "title", "status", "detail", "instance", "request_id",
    }  # fmt: skip
