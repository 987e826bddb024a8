"""Many callers at once: a read never misses what was acknowledged before it began, and no change is lost."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import httpx


def test_a_read_sees_every_write_that_was_acknowledged_before_it(own, add):
    books = [add(own)["id"] for _ in range(4)]
    base, done = own.base_url, Event()

    def read_on(book_id):
        """Keeps queries under way, so that the writer's reads have batches to join."""
        with httpx.Client(base_url=base) as client:
            while not done.is_set():
                assert client.get(f"/v2/books/{book_id}").status_code == 200

    def write_and_read(book_id):
        with httpx.Client(base_url=base) as client:
            for price in range(1, 60):
                client.put(f"/v1/books/{book_id}", json={"price": price}).raise_for_status()
                assert client.get(f"/v1/books/{book_id}").json()["price"] == f"{price}.00"
            assert client.delete(f"/v1/books/{book_id}").status_code == 200
            assert client.get(f"/v1/books/{book_id}").status_code == 404

    with ThreadPoolExecutor(10) as pool:
        keeper = add(own)["id"]
        readers = [pool.submit(read_on, keeper) for _ in range(4)]
        try:
            for writer in [pool.submit(write_and_read, book_id) for book_id in books]:
                writer.result()
        finally:
            done.set()
        for reader in readers:
            reader.result()


def test_of_many_deletions_one_is_told_that_it_was_it(own, add):
    book_id = add(own)["id"]
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(lambda _: own.delete(f"/v1/books/{book_id}").status_code, range(8))
    assert sorted(statuses) == [200] + [404] * 7


def test_changes_of_different_fields_at_once_are_all_kept(own, add):
    book_id = add(own)["id"]
    changes = [{"title": "T"}, {"author": "A"}, {"price": "3.21"}, {"description": "D"}]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda change: own.put(f"/v2/books/{book_id}", json=change), changes))
    assert {answer.status_code for answer in answers} == {200}
    book = own.get(f"/v2/books/{book_id}").json()
    assert (book["title"], book["author"], book["price"], book["description"]) == ("T", "A", "3.21", "D")


def test_every_book_gets_an_id_of_its_own_and_a_page_counts_what_it_shows(own, add):
    numbers = count()

    def work(_):
        if next(numbers) % 3:
            return add(own)["id"]
        page = own.get("/v2/books?limit=100").json()
        # Total and data come from one view: no book that is added meanwhile is in only one of them.
        assert len(page["data"]) == page["total"]
        return None

    with ThreadPoolExecutor(8) as pool:
        ids = [book_id for book_id in pool.map(work, range(90)) if book_id]
    assert len(set(ids)) == 60
    assert own.get("/v2/books").json()["total"] == 60
