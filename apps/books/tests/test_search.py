"""Search in /v2: what it finds, what it leaves out, how it is refused, and what it is looked up by."""

import re
from decimal import Decimal
from itertools import product

import psycopg
import pytest

from bookstore.books.catalogue.search import Search
from bookstore.books.catalogue.store import _SEARCHED, _conditions

SHELF = [
    # title, author, price, copies on hand, reserved, on sale
    ("War and Peace", "Leo Tolstoy", "12.00", 3, 0, True),
    ("Война и мир", "Лев Толстой", "12.50", 3, 3, True),
    ("The Art of War", "Sun Tzu", "7.99", 0, 0, True),
    ("100% Natural_Cures", "A_B", "0.00", 1, 0, True),
    ("1000 Natural Cures", "AxB", "3.00", 2, 1, True),
    ("C:\\Windows", "Bill O'Reilly", "99999999.99", 1, 0, True),
    ("Éducation sentimentale", "Gustave Flaubert", "9.49", 1, 0, True),
    ("Jane Eyre", "Charlotte Brontë", "8.00", 1, 0, True),
    ("Warlord (off sale)", "Leo Tolstoy", "12.00", 3, 0, False),
    ("'; DROP TABLE books; --", "<script>alert(1)</script>", "1.00", 1, 0, True),
    ("It", "Stephen King", "10.00", 1, 0, True),
]
QUERIES = [
    {}, {"q": "war"}, {"q": "WAR"}, {"q": "ar"}, {"q": "a"}, {"q": "leo"}, {"q": "tolstoy war"},
    {"q": "peace l"}, {"q": "ВОЙНА"}, {"q": "толстой"}, {"q": "éducation"}, {"q": "ÉDUCATION"},
    {"q": "BRONTË"}, {"q": "%"}, {"q": "_"}, {"q": "100%"}, {"q": "100_"}, {"q": "l_c"}, {"q": "\\"},
    {"q": "c:\\w"}, {"q": "'"}, {"q": "'; drop table"}, {"q": "<script>"}, {"q": "it"}, {"q": "  art   of "},
    {"q": ""}, {"q": " "}, {"q": "zzz"}, {"q": "x" * 500}, {"q": "{}"}, {"q": "%s %(q)s"},
    {"author": "leo"}, {"author": "TOLSTOY"}, {"author": "a_b"}, {"author": "o'r"}, {"author": "war"},
    {"author": "é"}, {"author": ""}, {"q": "war", "author": "sun"}, {"q": "leo", "author": "sun"},
    {"min_price": "12"}, {"max_price": "8"}, {"min_price": "8", "max_price": "12.00"}, {"max_price": "0"},
    {"min_price": "99999999.99"}, {"min_price": "12.00", "max_price": "12.00"}, {"min_price": "0"},
    {"in_stock": "true"}, {"in_stock": "false"}, {"in_stock": "True"}, {"in_stock": "FALSE"},
    {"q": "war", "author": "o", "min_price": "7.99", "max_price": "12", "in_stock": "true"},
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(books_template, run_books):
    with books_template.fresh() as url:
        with psycopg.connect(url) as database:
            database.cursor().executemany(
                "INSERT INTO books (title, author, price, on_hand, reserved, active)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                SHELF,
            )
        with run_books(url) as client:
            yield client


def _meant(query):
    """Ids of the books that a search means, the highest first: the slow and plain way."""
    words = " ".join(query.get("q", "").split()).lower()
    author = " ".join(query.get("author", "").split()).lower()

    def fits(book):
        title, writer, price, on_hand, reserved, active = book
        return (
            active
            and (words in title.lower() or words in writer.lower())
            and author in writer.lower()
            and Decimal(query.get("min_price", 0)) <= Decimal(price) <= Decimal(query.get("max_price", 10**9))
            and query.get("in_stock", str(on_hand > reserved)).lower() == str(on_hand > reserved).lower()
        )

    return [number for number, book in reversed([*enumerate(SHELF, start=1)]) if fits(book)]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: repr(query)[:40])
def test_what_a_search_finds(shop, query):
    answer = shop.get("/v2/books", params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert [book["id"] for book in page["data"]] == _meant(query)
    assert page["total"] == len(_meant(query)) == int(answer.headers["x-total-count"])


def test_the_links_keep_the_search(shop):
    query = {"q": "a&b=c d", "author": "%é/?#", "min_price": "0.50", "max_price": "12.00", "in_stock": "true"}
    answer = shop.get("/v2/books", params={**query, "limit": 2, "offset": 1})
    for target, _ in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["link"]):
        assert target.startswith("/v2/books?")
        kept = shop.build_request("GET", target).url.params
        assert {name: kept[name] for name in query} == query

    seen, target = [], "/v2/books?limit=2&in_stock=true&min_price=1"
    while target:
        answer = shop.get(target)
        seen += [book["id"] for book in answer.json()["data"]]
        following = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
        target = following and following[1]
    assert seen == _meant({"in_stock": "true", "min_price": "1"})


def test_a_search_cannot_write_headers(shop):
    answer = shop.get("/v2/books?limit=1&q=%0d%0aX-Evil:%201&q2=%0d%0aX-Evil:%202&author=%3E%3B")
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    kept = shop.get("/v2/books?limit=1&x=%0d%0aX-Evil:%202%3E;%20rel=next").headers
    assert "x-evil" not in kept
    assert kept["link"].count(">") == 1


BAD = [
    *product(["min_price", "max_price"], [
        "", "abc", "-1", "-0.01", "1e2", "1_0", "+1", " 1", "0x10", "NaN", "Infinity", "1.234", "100000000",
        "9" * 300, "1,5", "\uff11", "null", "\0", "1;--",
    ]),
    *product(["in_stock"], ["", "yes", "no", "1", "0", "2", "tru", "null", "true,false", "\0", " true"]),
    *product(["q", "author"], ["\0", "a\0b", "x" * 501]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD, ids=lambda value: repr(value)[:20])
def test_a_search_that_cannot_be_is_refused_by_name(shop, check_problem, field, value):
    problem = check_problem(shop.get("/v2/books", params={field: value}), 422, "validation")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_price=2&max_price=1", "min_price"), ("min_price=0.01&max_price=0", "min_price"),
        ("q=a&q=b", "q"), ("min_price=1&min_price=1", "min_price"),
        ("in_stock=true&in_stock=false", "in_stock"), ("q=%FF", "q"), ("author=%C0%AF", "author"),
        ("q=a&limit=0", "limit"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused(shop, check_problem, query, field):
    problem = check_problem(shop.get(f"/v2/books?{query}"), 422, "validation")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_v1_knows_no_search(shop):
    assert len(shop.get("/v1/books?q=war&min_price=abc").json()) == sum(book[-1] for book in SHELF)


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(q="number 777"), "books_grams"),
        (Search(author="writer 777"), "books_grams"),
        (Search(q="number 77", author="writer 77"), "books_grams"),
        (Search(min_price=Decimal(17), max_price=Decimal(18)), "books_price"),
    ],
)
def test_a_search_goes_by_an_index(many, search, index):
    query = f"EXPLAIN {_SEARCHED.format(_conditions(search))} SELECT total FROM whole"  # noqa: S608 - as the store makes it
    fields = {name: getattr(search, name) for name in Search.__struct_fields__}
    plan = many.execute(query, {**fields, "limit": 20, "offset": 0}).fetchall()
    assert index in str(plan), plan


@pytest.fixture(scope="module")
def many(books_template):
    with books_template.fresh() as url, psycopg.connect(url, autocommit=True) as database:
        database.execute(
            "INSERT INTO books (title, author, price)"
            " SELECT 'Number ' || n, 'Writer ' || n % 1000, n % 100 FROM generate_series(1, 5000) AS n"
        )
        database.execute("VACUUM ANALYZE books")
        yield database
