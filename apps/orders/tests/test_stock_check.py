"""The stock of a book, as books tells it, or as it told it last; with Redis, without it, and with neither."""

from time import monotonic

import pytest
import redis

from bookstore.orders.stock.memory import KEPT

PATH = "/v1/orders/check-inventory"


@pytest.fixture
def run_patiently(run_orders, monkeypatch):
    """A busy machine takes longer than the 150 ms that Redis has."""
    monkeypatch.setattr("bookstore.orders.app._REDIS_PATIENCE", 20.0)
    return run_orders


@pytest.fixture
def remembering(database_url, books, run_patiently, redis_url):
    books.stock[1] = 100
    with run_patiently(database_url, books.url, redis_url=redis_url, books_circuit_open=600.0) as client:
        yield client


def _told(answer):
    assert answer.status_code == 200, answer.text
    return answer.text


NOW = '{"quantity":100,"source":"service"}'
THEN = '{"quantity":100,"source":"redis_cache"}'


def test_seed_000_the_stock_survives_an_outage_also_with_the_circuit_open(remembering, books, redis_url):
    assert _told(remembering.get(f"{PATH}/1")) == NOW
    books.refuse()
    for _ in range(20):
        assert _told(remembering.get(f"{PATH}/1")) == THEN
    with redis.Redis.from_url(redis_url) as memory:
        assert KEPT - 60 < memory.ttl("{orders:stock}:1") <= KEPT


def test_it_is_told_anew_once_books_is_back(database_url, books, run_patiently, redis_url, eventually):
    books.stock[1] = 100
    with run_patiently(database_url, books.url, redis_url=redis_url) as client:
        assert _told(client.get(f"{PATH}/1")) == NOW
        books.refuse()
        assert _told(client.get(f"{PATH}/1")) == THEN
        books.stock[1] = 7
        books.open()
        eventually(lambda: client.get(f"{PATH}/1").json() == {"quantity": 7, "source": "service"})
        books.refuse()
        assert client.get(f"{PATH}/1").json() == {"quantity": 7, "source": "redis_cache"}


def test_what_can_be_sold_is_less_than_what_is_on_hand_once_orders_hold_some(remembering):
    remembering.post("/v1/orders", json={"book_id": 1, "quantity": 3})
    assert remembering.get(f"{PATH}/1/").json() == {"quantity": 97, "source": "service"}


@pytest.mark.quiet
@pytest.mark.parametrize("way", ["hang", "error", "bad_json", "half_body", "null", "trickle"])
def test_however_books_fails_the_answer_comes_in_time(remembering, books, way):
    assert _told(remembering.get(f"{PATH}/1")) == NOW
    books.mode = way
    started = monotonic()
    assert _told(remembering.get(f"{PATH}/1")) == THEN
    assert monotonic() - started < 2.0


def test_a_stock_that_nobody_knows_is_a_503(remembering, books, check_problem):
    books.refuse()
    check_problem(remembering.get(f"{PATH}/1"), 503, "books-unavailable")


def test_a_book_that_is_not_there_is_404_and_forgotten(remembering, books, check_problem):
    assert _told(remembering.get(f"{PATH}/1")) == NOW
    del books.catalogue[1]
    check_problem(remembering.get(f"{PATH}/1"), 404, "not-found")
    books.refuse()
    check_problem(remembering.get(f"{PATH}/1"), 503)


@pytest.mark.parametrize("book_id", ["0", "-1", "abc", "1.0", "01", "9" * 30, "%201", "1;2"])
def test_a_path_that_names_no_book_is_404(shared, shared_books, book_id):
    asked = len(shared_books.asked)
    assert shared.get(f"{PATH}/{book_id}").status_code == 404
    assert len(shared_books.asked) == asked


def test_what_stands_in_redis_by_mistake_is_not_believed(remembering, books, redis_url):
    with redis.Redis.from_url(redis_url) as memory:
        memory.set("{orders:stock}:1", "many")
    books.refuse()
    assert remembering.get(f"{PATH}/1").status_code == 503


@pytest.mark.quiet
def test_a_redis_that_is_late_for_once_is_asked_again(database_url, books, run_orders, redis_url):
    books.stock[1] = 100
    with run_orders(database_url, books.url, redis_url=redis_url, hurried=True) as client:
        assert _told(client.get(f"{PATH}/1")) == NOW
        books.refuse()
        with redis.Redis.from_url(redis_url) as memory:
            memory.execute_command("CLIENT", "PAUSE", 220, "ALL")
        assert _told(client.get(f"{PATH}/1")) == THEN


def test_without_redis_it_is_asked_for_only(orders, books, check_problem):
    books.stock[1] = 100
    assert _told(orders.get(f"{PATH}/1")) == NOW
    books.refuse()
    check_problem(orders.get(f"{PATH}/1"), 503, "books-unavailable")


@pytest.mark.quiet
@pytest.mark.parametrize(("harm", "heal"), [("freeze", "resume"), ("kill", "start")])
def test_a_redis_that_is_away_is_missed_by_nobody_while_books_is_there(  # noqa: PLR0917
    database_url, books, run_orders, redis_server, check_problem, eventually, harm, heal
):
    books.stock[1] = 100
    with run_orders(database_url, books.url, redis_url=redis_server.url, hurried=True) as client:
        assert _told(client.get(f"{PATH}/1")) == NOW
        getattr(redis_server, harm)()
        try:
            for _ in range(5):
                started = monotonic()
                assert _told(client.get(f"{PATH}/1")) == NOW
                assert monotonic() - started < 1.0
            assert client.post("/v1/orders", json={"book_id": 1, "quantity": 1}).status_code == 201
            books.refuse()
            started = monotonic()
            check_problem(client.get(f"{PATH}/1"), 503, "books-unavailable")
            assert monotonic() - started < 2.0
        finally:
            getattr(redis_server, heal)()
        eventually(lambda: client.get(f"{PATH}/1").status_code == 200)
        assert _told(client.get(f"{PATH}/1")) == THEN
