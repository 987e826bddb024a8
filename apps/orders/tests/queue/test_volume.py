"""Ten thousand orders, and what they leave behind."""

import threading

import pytest

pytestmark = pytest.mark.long

MANY = 10_000
LONGEST_STREAM = 2000


def test_ten_thousand_orders_leave_nothing_behind(run_worker, book, outside, pending, eventually):
    book.do("UPDATE queue SET paused_at = now()")
    for _ in range(10):
        book.place(MANY // 10)
    before = book.ask("SELECT pg_table_size('ledger')")[0][0]
    longest, done = 0, threading.Event()

    def watch():
        nonlocal longest
        while not done.wait(0.05):
            longest = max(longest, pending()[0])

    with run_worker(worker_lease=15.0, ledger_republish=30.0) as worker:
        watcher = threading.Thread(target=watch)
        watcher.start()
        book.do("UPDATE queue SET paused_at = NULL")
        eventually(lambda: book.unfinished() == 0, seconds=100)
        done.set()
        watcher.join()
        eventually(lambda: pending() == (0, 0))
        assert worker.metric("worker_jobs_completed_total", queue="validate") == MANY
    assert 0 < longest <= LONGEST_STREAM
    assert set(outside.calls.values()) == set(book.changes().values()) == {1}
    # Three updates a row: without reuse of their places the table would be four times as large.
    assert book.ask("SELECT pg_table_size('ledger')")[0][0] < 3 * before
