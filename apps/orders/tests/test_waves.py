"""How many orders go in a wave, and how many may be under way."""

import asyncio

import pytest

from bookstore.orders.waves import MOST

BODY = b'{"book_id": 1, "quantity": 1}'


def _order(host):
    head = b"POST /v1/orders HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n" % host
    return head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


async def _status(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    return int(head.split()[1])


@pytest.mark.quiet
@pytest.mark.timeout(120)
def test_one_more_than_may_be_under_way_is_refused_at_once(database_url, books, run_orders):
    books.mode = "held"

    async def crowd(url):
        lines = [await asyncio.open_connection(url.host, url.port) for _ in range(MOST + 1)]
        try:
            for _, writer in lines:
                writer.write(_order(url.netloc))
            told = [asyncio.create_task(_status(reader)) for reader, _ in lines]
            done, _ = await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            assert [each.result() for each in done] == [503]
            books.mode = "well"
            books.hold.set()
            return sorted(await asyncio.gather(*told))
        finally:
            for _, writer in lines:
                writer.close()

    # Books may take as long as this test does.
    with run_orders(database_url, books.url, books_timeout=20.0) as orders:
        told = asyncio.run(crowd(orders.base_url))
    assert told.count(503) >= 1
    assert set(told) <= {201, 503}
    # The first goes alone, and the others in as few calls as may be; who is late is let go by itself.
    calls = [path for path, _ in books.asked if path == "/inventory/reservations"]
    assert len(calls) <= 1 + MOST // 50 + 2


def test_what_books_holds_too_late_is_let_go(orders, books, check_problem, eventually, caplog):
    books.mode = "held"
    answer = orders.post("/v1/orders", json={"book_id": 1, "quantity": 1}, headers={"x-deadline-ms": "700"})
    check_problem(answer, 503, "out-of-time")
    books.mode = "well"
    books.hold.set()
    eventually(lambda: books.reservations and not books.held())
    assert orders.post("/v1/orders", json={"book_id": 1, "quantity": 1}).status_code == 201
    assert "never retrieved" not in caplog.text


def test_of_two_in_a_wave_one_may_be_out_of_time(orders, books, caplog):
    books.mode = "held"

    async def two(url):
        lines = [await asyncio.open_connection(url.host, url.port) for _ in range(2)]
        hurried = _order(url.netloc).replace(b"Host", b"x-deadline-ms: 200\r\nHost")
        for (_, writer), order in zip(lines, (hurried, _order(url.netloc)), strict=True):
            writer.write(order)
        told = [await _status(lines[0][0])]
        books.hold.set()
        told.append(await _status(lines[1][0]))
        for _, writer in lines:
            writer.close()
        return told

    assert asyncio.run(two(orders.base_url)) == [503, 201]
    assert "never retrieved" not in caplog.text
