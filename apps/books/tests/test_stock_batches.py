"""Reservations that are asked for at once: each for itself, whatever becomes of the others."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from bookstore.books.stock.reserving import _hold
from bookstore.service.database import Database

PATH = "/inventory/reservations"


def _wanted(**reservations):
    return {
        "reservations": [
            {
                "reservation_id": name,
                "items": [{"book_id": book_id, "quantity": count} for book_id, count in lines],
            }
            for name, lines in reservations.items()
        ]
    }


def _ask(client, **reservations):
    """What became of each: the titles of its books, or the status and the last word of its refusal's type."""
    answer = client.post(PATH, json=_wanted(**reservations))
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [each["reservation_id"] for each in data] == list(reservations)
    return {
        each["reservation_id"]: (each["refusal"]["status"], each["refusal"]["type"].rpartition(":")[2])
        if "refusal" in each
        else [book["title"] for book in each["books"]]
        for each in data
    }


def _stock(client, book_id):
    told = client.get(f"/inventory/{book_id}").json()
    return told["quantity"], told["reserved"]


def test_each_is_held_or_refused_for_itself(own, add):
    one = add(own, title="One", price="9.49", stock=10)["id"]
    two = add(own, title="Two", stock=2)["id"]
    own.put(f"{PATH}/other", json={"items": [{"book_id": one, "quantity": 1}]})
    own.post(f"{PATH}/gone/release")
    told = _ask(
        own,
        a=[(one, 2)],
        b=[(one, 1), (two, 1)],
        few=[(one, 1), (two, 5)],
        unknown=[(one, 1), (999, 1)],
        gone=[(one, 1)],
        other=[(one, 3)],
    )
    assert told == {
        "a": ["One"],
        "b": ["One", "Two"],
        "few": (409, "insufficient-stock"),
        "unknown": (404, "not-found"),
        "gone": (409, "reservation-released"),
        "other": (409, "reservation-conflict"),
    }
    assert (_stock(own, one), _stock(own, two)) == ((6, 4), (1, 1))
    for name, status in (("a", 200), ("b", 200), ("few", 404), ("unknown", 404)):
        assert own.get(f"{PATH}/{name}").status_code == status
    # What is told of a book is what an order keeps of it.
    [held] = own.post(PATH, json=_wanted(a=[(one, 2)])).json()["data"]
    assert held["books"] == [{"book_id": one, "title": "One", "author": "Jane Austen", "price": "9.49"}]


def test_the_same_again_holds_nothing_more_and_tells_the_books_as_they_are_now(own, add):
    book_id = add(own, title="One", stock=3)["id"]
    assert _ask(own, a=[(book_id, 3)]) == {"a": ["One"]}
    own.put(f"/v2/books/{book_id}", json={"title": "Two"})
    assert _ask(own, a=[(book_id, 3)], b=[(book_id, 1)]) == {"a": ["Two"], "b": (409, "insufficient-stock")}
    own.delete(f"/v2/books/{book_id}")
    assert _ask(own, a=[(book_id, 3)], c=[(book_id, 1)]) == {"a": ["Two"], "c": (404, "not-found")}


def test_too_few_for_all_are_enough_for_the_first(own, add):
    book_id, plenty = add(own, stock=4)["id"], add(own, stock=100)["id"]
    told = _ask(
        own,
        **{f"order-{n}": [(book_id, 2), (plenty, 1)] for n in range(3)},
        **{f"other-{n}": [(plenty, 1)] for n in range(3)},
    )
    refused = [name for name, outcome in told.items() if outcome == (409, "insufficient-stock")]
    assert refused == ["order-2"]
    assert (_stock(own, book_id), _stock(own, plenty)) == ((0, 4), (95, 5))


def test_the_last_copies_are_sold_once_among_many_batches(own, add):
    books = [add(own, stock=20)["id"] for _ in range(3)]

    def ask(batch):
        names = {f"order-{batch}-{n}": [(book_id, 1) for book_id in books[: 1 + n % 3]] for n in range(8)}
        while (answer := own.post(PATH, json=_wanted(**names))).status_code == 503:
            pass  # a busy machine
        return [each for each in answer.json()["data"] if "refusal" not in each]

    with ThreadPoolExecutor(8) as pool:
        held = [each for outcomes in pool.map(ask, range(8)) for each in outcomes]
    for book_id in books:
        count = sum(book["book_id"] == book_id for each in held for book in each["books"])
        assert _stock(own, book_id) == (20 - count, count)
    assert _stock(own, books[0]) == (0, 20)


def test_who_wants_a_book_that_somebody_holds_on_to_keeps_nobody_else_waiting(run_books, add, database_url):
    with run_books(database_url, hurried=True) as own:
        free, busy = add(own, title="Free")["id"], add(own, title="Busy")["id"]
        with psycopg.connect(database_url) as other:
            other.execute("SELECT FROM books WHERE id = %s FOR UPDATE", (busy,))
            told = _ask(own, a=[(free, 1)], b=[(busy, 1)], c=[(free, 1), (busy, 1)], d=[(free, 1)])
        assert told == {"a": ["Free"], "b": (503, "books-busy"), "c": (503, "books-busy"), "d": ["Free"]}
        assert _ask(own, b=[(busy, 1)], c=[(free, 1), (busy, 1)]) == {"b": ["Busy"], "c": ["Free", "Busy"]}
        assert (_stock(own, free)[1], _stock(own, busy)[1]) == (3, 2)


def test_what_cannot_be_asked_for_is_refused_as_a_whole(own, add, check_problem):
    book_id = add(own)["id"]
    item = {"book_id": book_id, "quantity": 1}
    named = {"reservation_id": "a", "items": [item]}
    for wrong in (
        [],
        [named, named],
        [{**named, "reservation_id": f"a-{n}"} for n in range(101)],
        [{**named, "reservation_id": "a b"}],
        [{**named, "reservation_id": "a\n"}],
        [{**named, "items": []}],
        [{**named, "items": [{"book_id": book_id, "quantity": 6000}] * 2}],
    ):
        check_problem(own.post(PATH, json={"reservations": wrong}), 400, "validation")
    assert own.get(PATH).json() == {"data": []}


async def test_a_name_is_looked_up_and_not_searched_for(database_url):
    """A table that is small still is read as a whole, again and again, if the planner may choose."""
    async with (
        Database(database_url, patience=20.0, acquire=20.0) as database,
        database.transaction() as ours,
    ):
        await ours.execute(
            "INSERT INTO reservations (id) SELECT 'old-' || n FROM generate_series(1, 8000) AS n"
        )
        await _hold(ours, {f"new-{number}": {1: 1} for number in range(32)})
        cursor = await ours.execute(
            "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'reservations'"
        )
        assert await cursor.fetchone() == (0,)
