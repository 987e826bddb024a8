"""A book's life through both versions: shapes, statuses, partial changes, soft deletion."""

import re
from datetime import datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

V1 = ["id", "title", "author", "price", "active", "created_at", "updated_at"]
V2 = ["id", "title", "author", "description", "price", "stock", "active", "created_at", "updated_at"]
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def test_the_walk_through_of_seed_003(own):
    made = own.post("/v1/books", json={"title": "1984", "author": "George Orwell", "price": "15.99"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/books/1")
    book = made.json()
    assert list(book) == V1
    assert (book["id"], book["title"], book["author"], book["price"], book["active"]) == (
        1, "1984", "George Orwell", "15.99", True,
    )  # fmt: skip
    assert TIME.fullmatch(book["created_at"])
    assert book["updated_at"] == book["created_at"]

    assert own.get("/v1/books").json() == [book]
    assert own.get("/v1/books/1").json() == book
    changed = own.put("/v1/books/1", json={"title": "Animal Farm", "author": "George Orwell"})
    assert changed.status_code == 200
    assert changed.json() == {**book, "title": "Animal Farm", "updated_at": changed.json()["updated_at"]}
    deleted = own.delete("/v1/books/1")
    assert (deleted.status_code, deleted.json()) == (
        200,
        {"message": "Book with ID 1 was deleted successfully"},
    )
    assert own.get("/v1/books").json() == []
    health = own.get("/health").json()
    assert (health["status"], health["services"]["database"]) == ("healthy", "healthy")
    second = own.post(
        "/v1/books", json={"title": "The Catcher in the Rye", "author": "J.D. Salinger", "price": 18.99}
    )
    assert second.json()["price"] == "18.99"


def test_the_shapes_of_v2(shared):
    made = shared.post("/v2/books", json={"title": "Emma", "author": "Jane Austen", "price": 9.5, "stock": 3})
    assert made.status_code == 201
    book = made.json()
    assert list(book) == V2
    assert made.headers["location"] == f"/v2/books/{book['id']}"
    read = shared.get(made.headers["location"])
    assert read.status_code == 200
    assert list(read.json()) == [*V2, "from_cache", "processing_time_ms"]
    assert read.json()["from_cache"] is False
    assert 0 < read.json()["processing_time_ms"] < 2000
    assert {name: read.json()[name] for name in V2} == book
    assert list(shared.put(made.headers["location"], json={"price": 1}).json()) == V2
    page = shared.get("/v2/books?limit=1").json()
    assert list(page) == ["total", "limit", "offset", "data", "from_cache", "processing_time_ms"]
    assert list(page["data"][0]) == V2


def test_both_versions_speak_of_the_same_book(shared, add):
    book = add(path="/v2/books", description="Matchmaking.", stock=5)
    path = f"/books/{book['id']}"
    assert shared.get(f"/v1{path}").json() == {name: book[name] for name in V1}
    shared.put(f"/v1{path}", json={"price": "1.23"})
    now = shared.get(f"/v2{path}").json()
    assert (now["price"], now["description"], now["stock"]) == ("1.23", "Matchmaking.", 5)
    assert add(path="/v1/books")["id"] > book["id"]


@VERSIONS
@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        ({"title": "Persuasion"}, {"title": "Persuasion"}),
        ({"author": "J. Austen"}, {"author": "J. Austen"}),
        ({"price": 7}, {"price": "7.00"}),
        ({"price": 0}, {"price": "0.00"}),
        ({"title": "Persuasion", "author": None, "price": None}, {"title": "Persuasion"}),
        ({"title": "P", "author": "J", "price": "1.1"}, {"title": "P", "author": "J", "price": "1.10"}),
    ],
)
def test_a_change_is_partial_and_null_means_unchanged(shared, add, version, change, becomes):
    before = add()
    path = f"/{version}/books/{before['id']}"
    answer = shared.put(path, json=change)
    assert answer.status_code == 200
    after = shared.get(f"/v2/books/{before['id']}").json()
    assert datetime.fromisoformat(after["updated_at"]) > datetime.fromisoformat(before["updated_at"])
    expected = {**before, **becomes, "updated_at": after["updated_at"]}
    assert {name: after[name] for name in V2} == expected
    assert answer.json() == {name: expected[name] for name in (V1 if version == "v1" else V2)}


@VERSIONS
def test_a_deleted_book_is_gone_for_all_and_stays_in_its_table(own, database_url, check_problem, version):
    for _ in range(2):
        own.post("/v1/books", json={"title": "Emma", "author": "Jane Austen", "price": 1})
    assert own.delete(f"/{version}/books/1").status_code == 200
    for each in ("v1", "v2"):
        path = f"/{each}/books/1"
        check_problem(own.get(path), 404, "not-found")
        check_problem(own.put(path, json={"price": 2}), 404, "not-found")
        check_problem(own.delete(path), 404, "not-found")
    assert [book["id"] for book in own.get("/v1/books").json()] == [2]
    page = own.get("/v2/books").json()
    assert (page["total"], [book["id"] for book in page["data"]]) == (1, [2])
    with psycopg.connect(database_url) as database:
        rows = database.execute("SELECT id, active, price FROM books ORDER BY id").fetchall()
    assert [(row[0], row[1], str(row[2])) for row in rows] == [(1, False, "1.00"), (2, True, "1.00")]


NO_IDS = [
    "0", "-1", "999999999", "9223372036854775807", "9223372036854775808", "9" * 30, "9" * 5000, "abc", "1.0",
    "1e0", "+1", "01", "1_0", "%201", "1%20", "0x1", "%EF%BC%91", "%D9%A1", "null", "NaN", "%00",
    "1;2", "1'--", "~1",     "1%0A", "%FF",
]  # fmt: skip


@VERSIONS
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_id_that_names_no_book_is_404(own, method, version):
    for _ in range(10):
        own.post("/v1/books", json={"title": "Emma", "author": "Jane Austen", "price": 1})
    for given_id in NO_IDS:
        body = {"json": {"price": 2}} if method == "PUT" else {}
        answer = own.request(method, f"/{version}/books/{given_id}", **body)
        assert answer.status_code == 404, given_id
        assert answer.json()["type"] == "urn:bookstore:problem:not-found"
    assert [book["price"] for book in own.get("/v1/books").json()] == ["1.00"] * 10


@VERSIONS
def test_deletion_minds_no_body(shared, add, version):
    path = f"/{version}/books/{add()['id']}"
    assert shared.request("DELETE", path, content=b"{nonsense").status_code == 200


FIELDS = {"title": st.sampled_from(["Emma", " A  b ", "x"]), "price": st.integers(0, 9_999_999_999)}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(["v1", "v2"]), st.fixed_dictionaries(FIELDS)),
        st.tuples(
            st.just("change"),
            st.sampled_from(["v1", "v2"]),
            st.integers(0, 3),
            st.fixed_dictionaries({}, optional=FIELDS),
        ),
        st.tuples(st.just("delete"), st.sampled_from(["v1", "v2"]), st.integers(0, 3)),
    ),
    min_size=3,
    max_size=14,
)


def _sent(fields):
    """Cents as the decimal that a caller would write."""
    return {
        name: f"{value // 100}.{value % 100:02}" if name == "price" else value
        for name, value in fields.items()
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_history_leaves_what_a_plain_dictionary_says(shared, steps):
    ids, model = [], {}
    for step in steps:
        match step:
            case ("add", version, fields):
                answer = shared.post(f"/{version}/books", json={"author": "A", **_sent(fields)})
                assert answer.status_code == 201
                ids.append(answer.json()["id"])
                model[ids[-1]] = {**fields, "title": " ".join(fields["title"].split())}
            case ("change", version, number, fields) if ids:
                book_id = ids[number % len(ids)]
                answer = shared.put(f"/{version}/books/{book_id}", json=_sent(fields))
                if not fields:
                    assert answer.status_code == (422 if version == "v2" else 400)
                elif book_id not in model:
                    assert answer.status_code == 404
                else:
                    assert answer.status_code == 200
                    model[book_id] |= {
                        name: " ".join(value.split()) if name == "title" else value
                        for name, value in fields.items()
                    }
            case ("delete", version, number) if ids:
                book_id = ids[number % len(ids)]
                answer = shared.delete(f"/{version}/books/{book_id}")
                assert answer.status_code == (200 if model.pop(book_id, None) else 404)
    listed = {book["id"]: book for book in shared.get("/v2/books?limit=100").json()["data"]}
    for book_id in ids:
        answer = shared.get(f"/v1/books/{book_id}")
        if book_id in model:
            expected = _sent(model[book_id])
            assert {name: answer.json()[name] for name in expected} == expected
            assert listed[book_id]["price"] == expected["price"]
        else:
            assert answer.status_code == 404
            assert book_id not in listed
