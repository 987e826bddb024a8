"""The books service on a real socket, over a real database."""

from contextlib import contextmanager

import httpx
import pytest

from bookstore.books.app import create_app
from bookstore.books.settings import BooksSettings
from bookstore.service import testing
from bookstore.service.migrate import upgrade
from bookstore.service.testing.patience import patient
from bookstore.service.testing.references import enforce

JSON = {"Content-Type": "application/json"}


@contextmanager
def _books(database_url, *, hurried=False, **settings):
    """A running service and a client for it; one that isn't `hurried` bears a busy machine."""

    def create():
        given = {"port": 0, "access_log": False, **settings}
        return create_app(BooksSettings(database_url=database_url, **given))

    make = create if hurried else patient(create)
    with testing.serving(make) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def run_books():
    return _books


@pytest.fixture(scope="session")
def books_template(postgres_template):
    def migrate(url):
        upgrade("bookstore.books", url)
        enforce(url)

    return postgres_template("books", migrate)


@pytest.fixture
def database_url(books_template):
    with books_template.fresh() as url:
        yield url


@pytest.fixture(params=["uncached", "cached"])
def own(request, database_url, shared_redis):
    """A service for this test alone, with an empty catalogue; what holds without a cache holds with one."""
    redis_url = shared_redis.url if request.param == "cached" else ""
    with _books(database_url, redis_url=redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def shared(books_template, shared_redis):
    """A service for all tests that mind their own books only."""
    with books_template.fresh() as url, _books(url, redis_url=shared_redis.url) as client:
        yield client


@pytest.fixture
def add(shared):
    """Add a book with these fields, through /v2 unless told otherwise; gives the answer's body."""

    def add(client=shared, path="/v2/books", **fields):
        answer = client.post(path, json={"title": "Emma", "author": "Jane Austen", "price": "9.49", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def check_problem():
    return testing.check_problem
