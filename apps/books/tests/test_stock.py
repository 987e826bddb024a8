"""Stock and reservations, one caller at a time: what is answered, and what it leaves behind."""

import re
from itertools import count

import pytest

JSON = {"Content-Type": "application/json"}
_names = count(1)


class Shelf:
    """Books of this test's own, and reservations under its name."""

    def __init__(self, client, add):
        self.client, self.add = client, add
        self.name = f"order-{next(_names)}"

    def book(self, stock):
        return self.add(stock=stock)["id"]

    def stock(self, book_id):
        """What can be sold of a book, and what is reserved of it; /v2 must agree."""
        told = self.client.get(f"/inventory/{book_id}").json()
        assert told["book_id"] == book_id
        assert self.client.get(f"/v2/books/{book_id}").json()["stock"] == told["quantity"]
        return told["quantity"], told["reserved"]

    def hold(self, *lines, name=None):
        items = [{"book_id": book_id, "quantity": quantity} for book_id, quantity in lines]
        return self.client.put(f"/inventory/reservations/{name or self.name}", json={"items": items})

    def settle(self, how, name=None):
        return self.client.post(f"/inventory/reservations/{name or self.name}/{how}")


@pytest.fixture
def shelf(shared, add):
    return Shelf(shared, add)


def test_the_stock_of_a_book(shelf):
    book_id = shelf.book(7)
    assert shelf.client.get(f"/inventory/{book_id}").json() == {
        "book_id": book_id,
        "quantity": 7,
        "reserved": 0,
    }
    assert shelf.client.put(f"/inventory/{book_id}", json={"quantity": 12}).json() == {
        "book_id": book_id,
        "quantity": 12,
        "reserved": 0,
    }
    assert shelf.stock(book_id) == (12, 0)
    shelf.client.delete(f"/v2/books/{book_id}")
    assert shelf.client.get(f"/inventory/{book_id}").status_code == 404
    assert shelf.client.put(f"/inventory/{book_id}", json={"quantity": 1}).status_code == 404


def test_a_reservation_is_held_committed_and_shown(shelf):
    one, two = shelf.book(5), shelf.book(9)
    made = shelf.hold((two, 3), (one, 2))
    assert (made.status_code, made.headers["location"]) == (201, f"/inventory/reservations/{shelf.name}")
    assert made.json() == {
        "reservation_id": shelf.name,
        "state": "held",
        "items": [{"book_id": one, "quantity": 2}, {"book_id": two, "quantity": 3}],
        "created_at": made.json()["created_at"],
    }
    assert (shelf.stock(one), shelf.stock(two)) == ((3, 2), (6, 3))
    assert shelf.client.get(made.headers["location"]).json() == made.json()
    for _ in range(2):
        sold = shelf.settle("commit")
        assert (sold.status_code, sold.json()) == (200, {**made.json(), "state": "committed"})
        assert (shelf.stock(one), shelf.stock(two)) == ((3, 0), (6, 0))
    assert shelf.client.get(made.headers["location"]).json() == sold.json()


def test_a_released_reservation_gives_its_copies_back(shelf):
    book_id = shelf.book(5)
    made = shelf.hold((book_id, 5)).json()
    assert shelf.stock(book_id) == (0, 5)
    for _ in range(2):
        let_go = shelf.settle("release")
        assert (let_go.status_code, let_go.json()) == (200, {**made, "state": "released"})
        assert shelf.stock(book_id) == (5, 0)


def test_the_same_again_is_told_how_things_stand(shelf):
    book_id = shelf.book(5)
    made = shelf.hold((book_id, 2))
    again = shelf.hold((book_id, 1), (book_id, 1))
    assert (again.status_code, again.json()) == (200, made.json())
    assert "location" not in again.headers
    shelf.settle("commit")
    late = shelf.hold((book_id, 2))
    assert (late.status_code, late.json()) == (200, {**made.json(), "state": "committed"})
    assert shelf.stock(book_id) == (3, 0)


def test_a_name_holds_one_set_of_items(shelf, check_problem):
    one, two = shelf.book(5), shelf.book(5)
    shelf.hold((one, 2))
    for lines in ([(one, 3)], [(two, 2)], [(one, 2), (two, 1)]):
        check_problem(shelf.hold(*lines), 409, "reservation-conflict")
    assert (shelf.stock(one), shelf.stock(two)) == ((3, 2), (5, 0))


def test_all_lines_or_none(shelf, check_problem):
    plenty, few, none = shelf.book(50), shelf.book(2), shelf.book(0)
    problem = check_problem(shelf.hold((plenty, 1), (few, 3), (none, 1)), 409, "insufficient-stock")
    assert f"2 of 3 of book {few}, 0 of 1 of book {none}" in problem["detail"]
    gone = shelf.book(5)
    shelf.client.delete(f"/v2/books/{gone}")
    for unknown in (gone, 2**63 - 1):
        problem = check_problem(shelf.hold((plenty, 1), (unknown, 1), (none, 1)), 404, "not-found")
        assert f"book {unknown}" in problem["detail"]
    assert (shelf.stock(plenty), shelf.stock(few), shelf.stock(none)) == ((50, 0), (2, 0), (0, 0))
    # What was refused leaves its name free.
    assert shelf.client.get(f"/inventory/reservations/{shelf.name}").status_code == 404
    assert shelf.hold((few, 2)).status_code == 201


def test_a_settled_reservation_stays_so(shelf, check_problem):
    book_id = shelf.book(5)
    shelf.hold((book_id, 2))
    shelf.settle("commit")
    check_problem(shelf.settle("release"), 409, "reservation-committed")
    assert shelf.stock(book_id) == (3, 0)
    shelf.hold((book_id, 2), name=f"{shelf.name}-b")
    shelf.settle("release", f"{shelf.name}-b")
    check_problem(shelf.settle("commit", f"{shelf.name}-b"), 409, "reservation-released")
    check_problem(shelf.hold((book_id, 2), name=f"{shelf.name}-b"), 409, "reservation-released")
    assert shelf.stock(book_id) == (3, 0)


def test_what_was_given_up_before_it_came_can_never_hold_anything(shelf, check_problem):
    book_id = shelf.book(5)
    check_problem(shelf.settle("commit"), 404, "not-found")
    given_up = shelf.settle("release")
    assert (given_up.status_code, given_up.json()["state"], given_up.json()["items"]) == (200, "released", [])
    assert shelf.settle("release").json() == given_up.json()
    check_problem(shelf.hold((book_id, 1)), 409, "reservation-released")
    assert shelf.stock(book_id) == (5, 0)


@pytest.mark.parametrize("how", ["commit", "release"])
def test_what_is_held_of_a_book_can_be_settled_after_its_deletion(shelf, how):
    gone, stays = shelf.book(5), shelf.book(5)
    shelf.hold((gone, 2), (stays, 2))
    shelf.client.delete(f"/v2/books/{gone}")
    assert shelf.settle(how).status_code == 200
    told = shelf.client.get(f"/inventory/{stays}").json()
    assert (told["quantity"], told["reserved"]) == (3 if how == "commit" else 5, 0)
    assert shelf.hold((gone, 1), name=f"{shelf.name}-b").status_code == 404
    # The same again is still answered: it asks about the reservation, not about the book.
    if how == "commit":
        assert shelf.hold((gone, 2), (stays, 2)).json()["state"] == "committed"


def test_on_hand_is_never_less_than_what_is_reserved(shelf, check_problem):
    book_id = shelf.book(5)
    shelf.hold((book_id, 3))
    refused = shelf.client.put(f"/inventory/{book_id}", json={"quantity": 2})
    assert "3 copies are reserved" in check_problem(refused, 409, "stock-reserved")["detail"]
    assert shelf.stock(book_id) == (2, 3)
    assert shelf.client.put(f"/inventory/{book_id}", json={"quantity": 3}).json()["quantity"] == 0
    assert shelf.client.put(f"/inventory/{book_id}", json={"quantity": 1_000_000_000}).status_code == 200
    assert shelf.stock(book_id) == (999_999_997, 3)


def test_the_inventory_tells_how_it_is(shared):
    answer = shared.get("/inventory/health")
    assert (answer.status_code, answer.json()) == (200, shared.get("/health").json())


def test_the_oldest_that_are_held_page_by_page(own, add):
    book_id = add(own, stock=100)["id"]
    for number in range(7):
        items = [{"book_id": book_id, "quantity": number + 1}]
        own.put(f"/inventory/reservations/r{number}", json={"items": items}).raise_for_status()
    own.post("/inventory/reservations/r2/commit")
    own.post("/inventory/reservations/r4/release")
    own.post("/inventory/reservations/tombstone/release")
    seen, target = [], "/inventory/reservations?limit=2"
    while target:
        answer = own.get(target)
        seen += answer.json()["data"]
        following = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("link", ""))
        target = following and following[1]
    assert [each["reservation_id"] for each in seen] == ["r0", "r1", "r3", "r5", "r6"]
    assert seen[2] == own.get("/inventory/reservations/r3").json()
    assert own.get("/inventory/reservations?state=held&older_than=30&limit=100").json() == {"data": []}
    assert len(own.get("/inventory/reservations?state=held&older_than=0").json()["data"]) == 5


GOOD = {"items": [{"book_id": 1, "quantity": 1}]}
BAD_ITEMS = [
    ([], "items"),
    (None, "items"),
    ("1", "items"),
    ([None], "items[0]"),
    ([{"book_id": 1}], "items[0]"),
    ([{"quantity": 1}], "items[0]"),
    ([{"book_id": 0, "quantity": 1}], "items[0].book_id"),
    ([{"book_id": "1", "quantity": 1}], "items[0].book_id"),
    ([{"book_id": 2**63, "quantity": 1}], "items[0].book_id"),
    ([{"book_id": 1, "quantity": 0}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": -1}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": 1.5}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": True}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": 10_001}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": 10**30}], "items[0].quantity"),
    ([{"book_id": 1, "quantity": 1, "price": 1}], "items[0]"),
    ([{"book_id": 1, "quantity": 6000}, {"book_id": 1, "quantity": 6000}], "items"),
    ([{"book_id": 1, "quantity": 1}] * 101, "items"),
]


@pytest.mark.parametrize(("items", "field"), BAD_ITEMS, ids=range(len(BAD_ITEMS)))
def test_bad_items_are_refused_by_name(shelf, check_problem, items, field):
    problem = check_problem(
        shelf.client.put(f"/inventory/reservations/{shelf.name}", json={"items": items}), 400, "validation"
    )
    assert [error["field"] for error in problem["errors"]] == [field]
    assert shelf.client.get(f"/inventory/reservations/{shelf.name}").status_code == 404


BAD_BODIES = [
    b"", b"{}", b"[]", b"{", b"null", b'{"quantity": NaN}', b'{"quantity": "5"}', b'{"quantity": -1}',
    b'{"quantity": 1.5}', b'{"quantity": true}', b'{"quantity": null}', b'{"quantity": 1000000001}',
    b'{"quantity": 1e999}', b'{"quantity": 1, "quantity": 2}', b'{"quantity": 1, "reserved": 0}',
    b'{"quantity": 1' + b"0" * 400 + b"}", b'{"quantity": \xff}', b"[" * 40 + b"]" * 40, b'{"\\u0000": 1}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_is_refused(shelf, check_problem, body):
    book_id = shelf.book(5)
    for path in (f"/inventory/{book_id}", f"/inventory/reservations/{shelf.name}"):
        check_problem(shelf.client.put(path, content=body, headers=JSON), 400, "validation")
    assert shelf.stock(book_id) == (5, 0)


@pytest.mark.parametrize(
    "book_id", ["0", "-1", "01", "1.0", "1e1", "+1", "abc", "9223372036854775808", "%00"]
)
def test_what_is_no_book_id_leads_nowhere(shared, check_problem, book_id):
    check_problem(shared.get(f"/inventory/{book_id}"), 404)
    check_problem(shared.put(f"/inventory/{book_id}", json={"quantity": 1}), 404)


@pytest.mark.parametrize("bad", ["a b", "x" * 65, "%00", "%C3%A9", "a%2Fb", "a'b", "a%0Ab", "*"])
def test_what_is_no_reservation_id_leads_nowhere(shared, bad):
    path = f"/inventory/reservations/{bad}"
    answers = [shared.get(path), shared.put(path, json=GOOD)]
    answers += [shared.post(f"{path}/{how}") for how in ("commit", "release")]
    for answer in answers:
        assert answer.status_code == 404, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("good", ["x" * 64, "A.b_c:d-9", "1", "-", "health"])
def test_names_that_a_reservation_can_have(shelf, good):
    assert shelf.hold((shelf.book(5), 1), name=good).status_code == 201
    assert shelf.client.get(f"/inventory/reservations/{good}/").json()["reservation_id"] == good


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=committed", "state"), ("state=", "state"), ("older_than=-1", "older_than"),
        ("older_than=abc", "older_than"), ("older_than=9999999999", "older_than"), ("limit=0", "limit"),
        ("limit=101", "limit"), ("after=unknown", "after"), ("after=a%00b", "after"), ("after=", "after"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused(shared, check_problem, query, field):
    problem = check_problem(shared.get(f"/inventory/reservations?{query}"), 400, "validation")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_trailing_slashes_are_accepted(shelf):
    book_id = shelf.book(5)
    assert shelf.client.get(f"/inventory/{book_id}/").json()["quantity"] == 5
    assert shelf.client.put(f"/inventory/{book_id}/", json={"quantity": 6}).status_code == 200
    assert shelf.client.get("/inventory/health/").status_code == 200
    items = [{"book_id": book_id, "quantity": 1}]
    assert (
        shelf.client.put(f"/inventory/reservations/{shelf.name}/", json={"items": items}).status_code == 201
    )
    assert shelf.client.post(f"/inventory/reservations/{shelf.name}/commit/").status_code == 200


def test_where_a_token_is_required_only_staff_may_change_stock(books_template, run_books):
    with books_template.fresh() as url, run_books(url, auth_required=True) as client:
        assert client.put("/inventory/1", json={"quantity": 1}).status_code == 401
        assert client.put("/inventory/reservations/a", json=GOOD).status_code == 401
        assert client.post("/inventory/reservations/a/commit").status_code == 401
        assert client.post("/inventory/reservations/a/release").status_code == 401
        assert client.get("/inventory/reservations/a").status_code == 401
        assert client.get("/inventory/reservations").status_code == 401
        assert client.get("/inventory/1").status_code == 404
        assert client.get("/inventory/health").status_code == 200


@pytest.mark.parametrize("path", ["/inventory/1", "/inventory/reservations/a"])
def test_another_content_type_is_415_and_a_long_body_413(shared, check_problem, path):
    for content_type in ("text/plain", "multipart/form-data; boundary=x", "application/jsonx"):
        check_problem(shared.put(path, content=b"{}", headers={"Content-Type": content_type}), 415)
    check_problem(shared.put(path, content=b" " * 1_048_577, headers=JSON), 413)
