"""The cache as callers see it: where answers come from, what a write changes, what operators can look at."""

import pytest

from bookstore.stores.redis import redis_command


@pytest.fixture
def cached(database_url, redis_url, run_books):
    """A service with a cache, and an empty catalogue."""
    with run_books(database_url, redis_url=redis_url) as client:
        yield client


@pytest.fixture
def twins(database_url, redis_url, run_books):
    """Two replicas over the same stores."""
    with (
        run_books(database_url, redis_url=redis_url) as one,
        run_books(database_url, redis_url=redis_url) as other,
    ):
        yield one, other


def _add(client):
    answer = client.post("/v2/books", json={"title": "Emma", "author": "Jane Austen", "price": "9.49"})
    assert answer.status_code == 201, answer.text


def _read(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_cache_walk_through_of_seed_002(cached):
    # Create a product, which invalidates what is cached of the list.
    cached.post("/v2/books", json={"title": "Laptop", "author": "HP", "price": 1200.00, "stock": 5})
    # First read: without the cache.
    first = _read(cached, "/v2/books")
    assert first["from_cache"] is False
    assert first["processing_time_ms"] > 0
    # Second read at once: from the cache.
    second = _read(cached, "/v2/books")
    assert second["from_cache"] is True
    assert second["processing_time_ms"] > 0
    assert second["data"] == first["data"]
    # Inspect what is cached.
    inside = _read(cached, "/v2/cache")
    assert (inside["hits"], inside["misses"]) == (1, 1)
    [kept] = inside["keys"]
    assert "/v2/books" in kept["key"]
    assert 0 < kept["ttl_seconds"] <= 60
    assert kept["size_bytes"] > 200


@pytest.mark.parametrize("path", ["/v2/books/1", "/v2/books", "/v2/books?limit=1&offset=0"])
def test_a_write_makes_the_next_read_a_fresh_one_at_every_replica(twins, path):
    _add(twins[0])
    sources, prices = [], []
    for price in (3, 4):
        assert twins[price % 2].put("/v1/books/1", json={"price": price}).status_code == 200
        for client in (*twins, *twins):
            told = _read(client, path)
            sources.append(told["from_cache"])
            prices.append(told.get("data", [told])[0]["price"])
    assert sources == [False, True, True, True] * 2
    assert prices == ["3.00"] * 4 + ["4.00"] * 4


def test_what_was_refused_or_failed_leaves_the_cache_in_use(cached):
    _add(cached)
    assert cached.put("/v2/books/1", json={"price": 1}, headers={"If-Match": '"other"'}).status_code == 412
    assert cached.put("/v2/books/99", json={"price": 1}).status_code == 404
    assert cached.delete("/v2/books/99").status_code == 404
    assert [_read(cached, "/v2/books/1")["from_cache"] for _ in range(2)] == [False, True]
    assert [_read(cached, "/v2/books")["from_cache"] for _ in range(2)] == [False, True]


def test_a_deleted_book_and_one_that_is_new_are_seen_at_once(twins):
    one, other = twins
    _add(one)
    for client in (*twins, *twins):
        assert _read(client, "/v2/books/1")["id"] == 1
        assert client.get("/v2/books/2").status_code == 404
        assert _read(client, "/v2/books")["total"] == 1
    _add(other)
    assert one.get("/v2/books/2").status_code == 200
    assert _read(one, "/v2/books")["total"] == 2
    assert one.delete("/v2/books/1").status_code == 200
    assert other.get("/v2/books/1").status_code == 404
    assert [book["id"] for book in _read(other, "/v2/books")["data"]] == [2]


def test_a_page_from_the_cache_has_the_same_body_and_headers(cached):
    for _ in range(5):
        _add(cached)
    for path in ("/v2/books?limit=2&offset=2", "/v1/books?limit=2", "/v2/books?offset=2&limit=2"):
        made, kept = cached.get(path), cached.get(path)
        for name in ("link", "x-total-count", "etag", "cache-control", "content-type"):
            assert made.headers.get(name) == kept.headers.get(name)
        if "/v2" in path:
            assert kept.json()["from_cache"]
            assert kept.headers["x-total-count"] == "5"
            assert 'offset=4>; rel="next"' in kept.headers["link"] or "limit=2" in kept.headers["link"]
            assert made.json()["data"] == kept.json()["data"]
        else:
            assert made.content == kept.content


def test_one_book_of_v1_never_comes_from_the_cache(cached, redis_url):
    _add(cached)
    for _ in range(3):
        _read(cached, "/v1/books/1")
    assert _read(cached, "/v2/cache") == {"hits": 0, "misses": 0, "keys": []}
    _read(cached, "/v1/books")
    [kept] = _read(cached, "/v2/cache")["keys"]
    assert "/v1/books" in kept["key"]
    assert redis_command(redis_url, "EXISTS", kept["key"]) == ":1"


def test_a_look_inside_shows_what_can_be_answered_and_nothing_else(cached, redis_url):
    redis_command(redis_url, "SET", "somebody:else", "x")
    _add(cached)
    for _ in range(2):
        _read(cached, "/v2/books/1")
        _read(cached, "/v2/books")
        _read(cached, "/v2/books?limit=5")
    assert len(_read(cached, "/v2/cache")["keys"]) == 3
    cached.put("/v1/books/1", json={"price": 1})
    inside = _read(cached, "/v2/cache")
    assert (inside["hits"], inside["misses"], inside["keys"]) == (3, 3, [])


def test_an_entry_lives_as_long_as_it_was_told(database_url, redis_url, run_books):
    with run_books(database_url, redis_url=redis_url, cache_ttl=7) as client:
        _add(client)
        _read(client, "/v2/books/1")
        [kept] = _read(client, "/v2/cache")["keys"]
        assert 0 < kept["ttl_seconds"] <= 7


def test_without_a_redis_all_is_the_same_but_the_source(database_url, run_books):
    with run_books(database_url) as client:
        _add(client)
        assert [_read(client, "/v2/books/1")["from_cache"] for _ in range(2)] == [False, False]
        assert _read(client, "/v2/cache") == {"hits": 0, "misses": 0, "keys": []}
        assert _read(client, "/health")["services"] == {"database": "healthy"}


def test_every_outcome_is_counted_from_zero(cached):
    def counted():
        lines = cached.get("/metrics").text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines)
            if name.startswith("bookstore_cache_")
        }

    assert set(counted().values()) == {0.0}
    assert len(counted()) == 8
    _add(cached)
    for _ in range(3):
        _read(cached, "/v2/books/1")
        _read(cached, "/v1/books")
    now = counted()
    assert now['bookstore_cache_misses_total{kind="book"}'] == 1
    assert now['bookstore_cache_hits_total{kind="book"}'] == 2
    assert now['bookstore_cache_hits_total{kind="page"}'] == 2
    assert now['bookstore_cache_invalidations_total{result="removed"}'] == 1
    assert now['bookstore_cache_invalidations_total{result="closed"}'] == 0
    assert now['bookstore_cache_bypasses_total{kind="book"}'] == 0
