"""An order's life through both versions: shapes, snapshots, exact totals, lists."""

import json
import re
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def _exact(answer):
    """The answer's JSON with every number as it was written."""
    return json.loads(answer.text, parse_float=Decimal)


def test_the_shape_of_v1(orders, books):
    books.sell(1, "12.99", title="The Great Gatsby", author="F. Scott Fitzgerald")
    made = orders.post("/v1/orders", json={"book_id": 1, "quantity": 2})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/orders/1")
    order = _exact(made)
    assert TIME.fullmatch(order["created_at"])
    assert list(order.items()) == [
        ("id", 1),
        ("book_id", 1),
        ("book_title", "The Great Gatsby"),
        ("book_author", "F. Scott Fitzgerald"),
        ("quantity", 2),
        ("unit_price", Decimal("12.99")),
        ("total_price", Decimal("25.98")),
        ("created_at", order["created_at"]),
        ("status", "Processing"),
        ("job_id", 1),
    ]
    assert '"unit_price":12.99,"total_price":25.98,' in made.text
    assert orders.get("/v1/orders/1").text == made.text
    assert orders.get("/v1/orders").text == f"[{made.text}]"


def test_the_shape_of_v2(orders):
    made = orders.post(
        "/v2/orders", json={"items": [{"book_id": 1, "quantity": 2}, {"book_id": 2, "quantity": 1}]}
    )
    assert (made.status_code, made.headers["location"]) == (201, "/v2/orders/1")
    order = made.json()
    assert order == {
        "id": 1,
        "status": "Processing",
        "customer_id": None,
        "items": [
            {
                "book_id": 1, "book_title": "Book 1", "book_author": "Author 1", "quantity": 2,
                "unit_price": "19.99", "total_price": "39.98",
            },
            {
                "book_id": 2, "book_title": "Book 2", "book_author": "Author 2", "quantity": 1,
                "unit_price": "24.99", "total_price": "24.99",
            },
        ],
        "total_price": "64.97",
        "created_at": order["created_at"],
        "updated_at": order["created_at"],
        "job_id": 1,
    }  # fmt: skip
    assert orders.get("/v2/orders/1").json() == order
    page = orders.get("/v2/orders").json()
    assert page == {"total": 1, "limit": 20, "offset": 0, "data": [order]}


@pytest.mark.parametrize(
    ("items", "total"),
    [
        ([(1, 2), (2, 1)], "64.97"),
        ([(2, 20)], "499.80"),
        ([(1, 1)], "19.99"),
        ([(1, 10_000)], "199900.00"),
        ([(3, 10_000)], "0.00"),
        ([(4, 10_000)], "999999999900.00"),
        ([(3, 1), (4, 1)], "99999999.99"),
        ([(1, 3), (2, 2), (1, 4)], "189.91"),
    ],
)
def test_totals_are_exact(orders, database_url, items, total):
    lines = [{"book_id": book_id, "quantity": quantity} for book_id, quantity in items]
    made = orders.post("/v2/orders", json={"items": lines})
    assert made.json()["total_price"] == total
    if len(items) == 1:
        flat = orders.post("/v1/orders", json=lines[0])
        assert f'"total_price":{total},' in flat.text
    with psycopg.connect(database_url) as database:
        rows = database.execute("SELECT total_price::text FROM orders").fetchall()
    assert {row[0] for row in rows} == {total}


def test_the_dearest_order_there_can_be_fits(orders, books):
    for book_id in range(1, 101):
        books.sell(book_id, "99999999.99")
    items = [{"book_id": book_id, "quantity": 10_000} for book_id in range(1, 101)]
    made = orders.post("/v2/orders", json={"items": items})
    assert made.status_code == 201
    assert made.json()["total_price"] == "99999999990000.00"
    assert orders.get("/v2/orders/1").json() == made.json()
    assert len(made.json()["items"]) == 100


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=1, max_size=100))
def test_any_basket_is_the_sum_of_its_lines(shared, lines):
    made = shared.post("/v2/orders", json={"items": [{"book_id": b, "quantity": q} for b, q in lines]})
    assert made.status_code == 201
    order, wanted = made.json(), {}
    for book_id, quantity in lines:
        wanted[book_id] = wanted.get(book_id, 0) + quantity
    assert {item["book_id"]: item["quantity"] for item in order["items"]} == wanted
    assert [item["book_id"] for item in order["items"]] == list(wanted)
    cents = sum((book_id * 100 + 99) * quantity for book_id, quantity in wanted.items())
    assert order["total_price"] == f"{cents // 100}.{cents % 100:02}"
    assert shared.get(made.headers["location"]).json() == order


def test_lines_of_one_book_are_summed(orders, books):
    made = orders.post(
        "/v2/orders",
        json={
            "items": [
                {"book_id": 2, "quantity": 1},
                {"book_id": 1, "quantity": 5},
                {"book_id": 2, "quantity": 2},
            ]
        },
    )
    assert [(item["book_id"], item["quantity"]) for item in made.json()["items"]] == [(2, 3), (1, 5)]
    assert books.held() == [{2: 3, 1: 5}]
    single = orders.post("/v2/orders", json={"items": [{"book_id": 1, "quantity": 1}] * 100})
    assert [(item["book_id"], item["quantity"]) for item in single.json()["items"]] == [(1, 100)]
    # Of one book, though written in a hundred lines: /v1 can show it.
    assert orders.get(f"/v1/orders/{single.json()['id']}").json()["quantity"] == 100


def test_the_snapshot_stays_when_the_book_changes_or_goes(orders, books):
    made = orders.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    books.sell(1, "1.00", title="Other", author="Somebody")
    again = orders.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    assert (again.json()["book_title"], _exact(again)["unit_price"]) == ("Other", Decimal("1.00"))
    del books.catalogue[1]
    assert orders.get(made.headers["location"]).text == made.text
    assert orders.get(again.headers["location"]).text == again.text


def test_the_price_is_asked_for_every_time(orders, books):
    for price in ("1.00", "2.00", "1.50"):
        books.sell(1, price)
        assert (
            str(_exact(orders.post("/v1/orders", json={"book_id": 1, "quantity": 1}))["unit_price"]) == price
        )
    assert len(books.asked_for("/inventory/reservations")) == 3


def test_text_that_looks_like_sql_or_markup_is_text(orders, books):
    title, author = "'); DROP TABLE orders; --", '<b onclick="x">%s {} \\ 👩\u200d🚀</b>'
    books.sell(1, title=title, author=author)
    order = orders.post("/v1/orders", json={"book_id": 1, "quantity": 1}).json()
    assert (order["book_title"], order["book_author"]) == (title, author)
    assert orders.get("/v1/orders/1").json() == order


def test_an_order_its_lines_and_its_job_are_kept_together(orders, database_url):
    orders.post("/v2/orders", json={"items": [{"book_id": 2, "quantity": 1}, {"book_id": 1, "quantity": 5}]})
    with psycopg.connect(database_url) as database:
        assert database.execute("SELECT id, status, lines FROM orders").fetchall() == [(1, "Processing", 2)]
        lines = database.execute("SELECT line, book_id, quantity FROM order_lines ORDER BY line").fetchall()
        assert lines == [(1, 2, 1), (2, 1, 5)]
        assert database.execute("SELECT order_id FROM ledger").fetchall() == [(1,)]


def test_a_basket_is_left_out_of_v1_and_named_to_who_asks_for_it(orders, check_problem):
    orders.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    orders.post("/v2/orders", json={"items": [{"book_id": 1, "quantity": 1}, {"book_id": 2, "quantity": 1}]})
    orders.post("/v2/orders", json={"items": [{"book_id": 2, "quantity": 7}]})
    assert [order["id"] for order in orders.get("/v1/orders").json()] == [3, 1]
    assert [order["id"] for order in orders.get("/v1/orders?limit=1&offset=1").json()] == [1]
    assert [order["id"] for order in orders.get("/v2/orders").json()["data"]] == [3, 2, 1]
    problem = check_problem(orders.get("/v1/orders/2"), 409, "several-books")
    assert "/v2/orders/2" in problem["detail"]
    assert orders.get("/v1/orders/3").json()["quantity"] == 7
    assert orders.get("/v2/orders/1").json()["items"][0]["quantity"] == 1


def test_lists_are_cut_linked_and_counted(orders, database_url):
    for _ in range(2):
        orders.post(
            "/v2/orders", json={"items": [{"book_id": 1, "quantity": 1}, {"book_id": 2, "quantity": 1}]}
        )
        orders.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    orders.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    answer = orders.get("/v2/orders?limit=2&offset=2")
    page = answer.json()
    assert [(order["id"], len(order["items"])) for order in page["data"]] == [(3, 2), (2, 1)]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 2)
    assert answer.headers["x-total-count"] == "5"
    assert answer.headers["link"] == (
        '</v2/orders?limit=2&offset=4>; rel="next", </v2/orders?limit=2&offset=0>; rel="prev"'
    )
    past = orders.get("/v2/orders?offset=100")
    assert (past.json()["data"], past.json()["total"]) == ([], 5)
    assert "next" not in past.headers["link"]
    # /v1 goes by age, whatever the ids.
    with psycopg.connect(database_url) as database:
        database.execute("UPDATE orders SET created_at = created_at + interval '1 day' WHERE id = 2")
    assert [order["id"] for order in orders.get("/v1/orders").json()] == [2, 5, 4]


def test_without_orders_lists_are_empty(orders):
    assert orders.get("/v1/orders").text == "[]"
    answer = orders.get("/v2/orders")
    assert answer.json() == {"total": 0, "limit": 20, "offset": 0, "data": []}
    assert answer.headers["x-total-count"] == "0"
    assert "link" not in answer.headers


def test_books_is_told_which_request_it_serves(orders, books):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    made = orders.post(
        "/v1/orders",
        json={"book_id": 1, "quantity": 1},
        headers={"X-Request-ID": "order-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert made.headers["x-trace-id"] == trace
    [(asked, headers)] = books.asked
    assert asked == "/inventory/reservations"
    assert headers["x-request-id"] == "order-1"
    assert headers["traceparent"].split("-")[1] == trace
    assert 0 < int(headers["x-deadline-ms"]) <= 1700
