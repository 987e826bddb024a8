"""Lists: order, pages, links and counts; what may be asked for."""

import re

import psycopg
import pytest


@pytest.fixture(scope="module")
def stocked(books_template, run_books):
    """45 books, of which every ninth is deleted: 40 on sale. Their age runs against their ids, in pairs."""
    with books_template.fresh() as url:
        with psycopg.connect(url) as database:
            database.execute(
                "INSERT INTO books (title, author, price, on_hand, active, created_at)"
                " SELECT 'B' || n, 'A', n, n, n % 9 <> 0, timestamp '2025-01-01' - n / 2 * interval '1 day'"
                " FROM generate_series(1, 45) n"
            )
        with run_books(url) as client:
            yield client


ON_SALE = [n for n in range(1, 46) if n % 9]
BY_AGE = sorted(ON_SALE, key=lambda n: (n // 2, -n))
BY_ID = sorted(ON_SALE, reverse=True)


def test_v1_is_a_bare_array_the_newest_first(stocked):
    books = stocked.get("/v1/books").json()
    assert [book["id"] for book in books] == BY_AGE
    assert all(book["active"] for book in books)


@pytest.mark.parametrize(
    ("limit", "offset"), [(1, 0), (7, 0), (7, 7), (7, 35), (100, 39), (5, 40), (1, 10**9)]
)
def test_v1_is_cut_where_asked(stocked, limit, offset):
    answer = stocked.get("/v1/books", params={"limit": limit, "offset": offset})
    assert [book["id"] for book in answer.json()] == BY_AGE[offset : offset + limit]


def test_v2_is_a_page_by_id_from_the_highest(stocked):
    page = stocked.get("/v2/books").json()
    assert [book["id"] for book in page["data"]] == BY_ID[:20]
    assert (page["total"], page["limit"], page["offset"], page["from_cache"]) == (40, 20, 0, False)
    assert page["processing_time_ms"] > 0


@pytest.mark.parametrize(
    ("limit", "offset", "links"),
    [
        (20, 0, {"next": 20}),
        (20, 20, {"prev": 0}),
        (10, 10, {"next": 20, "prev": 0}),
        (10, 5, {"next": 15, "prev": 0}),
        (39, 0, {"next": 39}),
        (40, 0, {}),
        (100, 0, {}),
        (20, 40, {"prev": 20}),
        (20, 100, {"prev": 80}),
        (1, 2**31 - 1, {"prev": 2**31 - 2}),
    ],
)
def test_links_lead_to_the_neighbours_and_no_further(stocked, limit, offset, links):
    answer = stocked.get("/v2/books", params={"limit": limit, "offset": offset})
    assert [book["id"] for book in answer.json()["data"]] == BY_ID[offset : offset + limit]
    assert answer.headers["x-total-count"] == "40"
    found = re.findall(r'<(/v2/books\?[^>]*)>; rel="(\w+)"', answer.headers.get("link", ""))
    assert {rel: target for target, rel in found} == {
        rel: f"/v2/books?limit={limit}&offset={start}" for rel, start in links.items()
    }


def test_following_the_links_meets_every_book_once(stocked):
    target, seen = "/v2/books?limit=7", []
    while target:
        answer = stocked.get(target)
        seen += [book["id"] for book in answer.json()["data"]]
        following = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
        target = following and following[1]
    assert seen == BY_ID


def test_an_empty_store_lists_nothing(own):
    assert own.get("/v1/books").text == "[]"
    answer = own.get("/v2/books")
    assert answer.json()["data"] == []
    assert answer.json()["total"] == 0
    assert answer.headers["x-total-count"] == "0"
    assert "link" not in answer.headers


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=101", "limit=abc", "limit=1.5", "limit=1.0", "limit=1e1", "limit=",
        "limit", "limit=1_0", "limit=%2B1", "limit=%EF%BC%91", "limit=99999999999999999999", "limit=null",
        "limit=1&limit=1", "limit=1&limit=abc", "offset=-1", "offset=abc", "offset=1.5", "offset=",
        "offset=2147483648", "offset=99999999999999999999", "offset=0&offset=0", "limit=5&offset=x",
        "limit=1;DROP TABLE books",
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(stocked, check_problem, version, slash, query):
    answer = stocked.get(f"/{version}/books{slash}?{query}")
    problem = check_problem(answer, 422 if version == "v2" else 400, "validation")
    assert [error["field"] in query for error in problem["errors"]] == [True]


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=100", "offset=0", "limit=1&offset=2147483647", "colour=red", "&"]
)
def test_a_page_that_can_be_is_given(stocked, query):
    for version in ("v1", "v2"):
        assert stocked.get(f"/{version}/books?{query}").status_code == 200
