"""The walk-throughs that people know, typed line by line: a bookstore, a small shop, a stock service.

The lines are the guides' own; what differs stands beside them. Products are books here: they have an author.
"""

import json
import re
import subprocess

import pytest


@pytest.fixture
def types(own, tmp_path):
    """Types a line of a guide; gives the status and the answer."""

    def types(line, port=8001):
        line = line.replace(f"http://localhost:{port}", str(own.base_url).rstrip("/"))
        line = line.replace("curl ", "curl --silent --show-error --noproxy '*' -w '\\n%{http_code}' ", 1)
        typed = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        body, _, status = typed.stdout.rpartition("\n")
        return int(status), json.loads(body)

    return types


BOOK = ["id", "title", "author", "price", "active", "created_at", "updated_at"]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def test_the_bookstore(types):
    gatsby = {"title": "The Great Gatsby", "author": "F. Scott Fitzgerald", "price": "12.99"}
    made = "curl -X POST http://localhost:8001/v1/books -H 'Content-Type: application/json'"
    types(f"{made} -d '{json.dumps(gatsby)}'")

    status, books = types("curl http://localhost:8001/v1/books")
    assert status == 200
    assert [list(book) for book in books] == [BOOK]
    assert {name: books[0][name] for name in gatsby} == gatsby
    assert (books[0]["id"], books[0]["active"]) == (1, True)
    assert MOMENT.fullmatch(books[0]["created_at"])
    assert MOMENT.fullmatch(books[0]["updated_at"])

    assert types("curl http://localhost:8001/v1/books/1") == (200, books[0])

    status, made = types("""curl -X POST http://localhost:8001/v1/books \\
      -H "Content-Type: application/json" \\
      -d '{
        "title": "1984",
        "author": "George Orwell",
        "price": "15.99"
      }'""")
    assert (status, made["id"], made["price"]) == (201, 2, "15.99")

    status, changed = types("""curl -X PUT http://localhost:8001/v1/books/1 \\
      -H "Content-Type: application/json" \\
      -d '{
        "title": "Animal Farm",
        "author": "George Orwell"
      }'""")
    assert (status, changed["title"], changed["price"]) == (200, "Animal Farm", "12.99")

    gone = {"message": "Book with ID 1 was deleted successfully"}
    assert types("curl -X DELETE http://localhost:8001/v1/books/1") == (200, gone)
    assert types("curl -X DELETE http://localhost:8001/v1/books/1")[0] == 404
    assert types("curl http://localhost:8001/v1/books/1")[0] == 404
    assert [book["id"] for book in types("curl http://localhost:8001/v1/books")[1]] == [2]

    status, health = types("curl http://localhost:8001/health")
    assert (status, health["status"], health["services"]["database"]) == (200, "healthy", "healthy")


def test_the_first_step_of_the_bookstore_from_end_to_end(types):
    status, book = types("""curl -X POST http://localhost:8001/v1/books \\
      -H "Content-Type: application/json" \\
      -d '{
        "title": "The Catcher in the Rye",
        "author": "J.D. Salinger",
        "price": 18.99
      }'""")
    assert (status, book["id"], book["title"], book["price"]) == (201, 1, "The Catcher in the Rye", "18.99")


def test_the_products_of_the_small_shop(types):
    base = "export BASE=http://localhost:8080; "
    # The guide's product has a name; a book has a title and an author.
    status, laptop = types(
        base + 'curl -s -X POST $BASE/v2/books/ -H "Content-Type: application/json" '
        '-d \'{"title":"Laptop","author":"Ana","price":1200.00,"stock":5}\'',
        8080,
    )
    assert (status, laptop["price"], laptop["stock"]) == (201, "1200.00", 5)

    status, page = types(base + "curl -s $BASE/v2/books/", 8080)
    assert status == 200
    assert [(book["title"], book["stock"]) for book in page["data"]] == [("Laptop", 5)]
    assert (page["total"], page["from_cache"]) == (1, False)
    assert page["processing_time_ms"] >= 0

    for path in ("/health", "/health/live", "/health/ready"):
        assert types(f"{base}curl -s $BASE{path}", 8080)[1]["status"] == "healthy"
    cards = [types(base + "curl -s $BASE/whoami", 8080)[1] for _ in range(6)]
    assert {(card["service"], bool(card["hostname"])) for card in cards} == {("books", True)}


def test_the_stock_service(types):
    made = "curl -X POST http://localhost:8001/v1/books -H 'Content-Type: application/json'"
    types(made + """ -d '{"title": "Emma", "author": "Jane Austen", "price": 1}'""")
    status, stock = types("curl http://localhost:8001/inventory/1")
    assert (status, stock) == (200, {"book_id": 1, "quantity": 100, "reserved": 0})
    status, health = types("curl http://localhost:8001/inventory/health")
    assert (status, health["status"]) == (200, "healthy")
    status, first = types("curl http://localhost:8001/inventory/test-circuit-breaker")
    assert (status, first["title"]) == (503, "Service Unavailable")
