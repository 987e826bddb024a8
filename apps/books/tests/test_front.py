"""The short way in front of the router answers as the router does, to everything that can be asked."""

import re

import pytest

DIFFERENT = {"date", "x-request-id", "x-trace-id", "content-length"}
"""Of one answer and the next; the length because `processing_time_ms` has more or fewer digits."""

REQUESTS = [
    ("GET", "/v2/books/1", {}),
    ("GET", "/v2/books/1/", {}),
    ("GET", "/v2/books/1?limit=x", {}),
    ("GET", "/v2/books/%31", {}),
    ("HEAD", "/v2/books/1", {}),
    ("GET", "/v2/books/1", {"If-None-Match": "*"}),
    ("GET", "/v2/books/1", {"If-None-Match": '"other"'}),
    ("HEAD", "/v2/books/1", {"If-None-Match": "*"}),
    ("GET", "/v2/books/1", {"X-Request-ID": "mine", "Accept": "text/html", "Accept-Encoding": "gzip"}),
    ("GET", "/v2/books/1", {"Authorization": "Bearer nonsense", "Range": "bytes=0-1"}),
    ("OPTIONS", "/v2/books/1", {}),
    ("PATCH", "/v2/books/1", {}),
    ("GET", "/v2/books/01", {}),
    ("GET", "/v2/books/1.0", {}),
    ("GET", "/v2/books/1%0A", {}),
    ("GET", "/v2/books/1//", {}),
    ("GET", "//v2/books/1", {}),
    ("GET", "/v2/books/0", {}),
    ("GET", "/v2/books/-1", {}),
    ("GET", "/v2/books/99", {}),
    ("GET", "/v2/books/9223372036854775807", {}),
    ("GET", "/v2/books/9223372036854775808", {}),
    ("GET", "/v2/books/9999999999999999999", {}),
    ("GET", "/v2/books/1/cover", {}),
]


def _start(client):
    client.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
    for _ in range(2):
        client.get("/v2/books/1").raise_for_status()
    return client


@pytest.fixture(scope="module")
def both(books_template, shared_redis, run_books):
    """One with the short way and a warm cache, one without either, over the same catalogue."""
    with (
        books_template.fresh() as url,
        run_books(url, redis_url=shared_redis.url) as short,
        run_books(url) as plain,
    ):
        yield _start(short), plain


def _shape(answer):
    text = re.sub(r'"(processing_time_ms|request_id|trace_id)":("[^"]*"|[0-9.e-]+)', r'"\1":0', answer.text)
    headers = {name: value for name, value in answer.headers.items() if name not in DIFFERENT}
    return answer.status_code, headers, text.replace('"from_cache":true', '"from_cache":false')


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
def test_the_short_way_answers_as_the_router_does(both, method, path, headers):
    short, plain = (client.request(method, path, headers=headers) for client in both)
    assert _shape(short) == _shape(plain)
    assert set(short.headers) == set(plain.headers)
    for name in ("x-request-id", "x-trace-id"):
        assert re.fullmatch(r"mine|[0-9a-f]{32}", short.headers[name])


def test_the_short_way_is_counted_under_the_same_name(both):
    short, _ = both
    line = 'http_requests_total{handler="/v2/books/{book_id}",method="GET",status_class="2xx"}'

    def counted():
        [found] = [each for each in short.get("/metrics").text.splitlines() if each.startswith(line)]
        return float(found.rpartition(" ")[2])

    before = counted()
    assert short.get("/v2/books/1").json()["from_cache"]
    assert counted() == before + 1
