"""Orders come to their end: what each answer of the supplier means, and what becomes of the stock."""


def test_orders_are_validated_or_rejected_and_nothing_is_left(worker, book, outside, pending, eventually):
    good = book.place(20, reserve=outside)
    bad = book.place(5, quantity=1001, reserve=outside)
    book.settled()
    assert set(book.states(*good)) == {"Validated"}
    assert set(book.states(*bad)) == {"Rejected"}
    assert set(book.changes().values()) == {1}
    assert set(outside.effects.values()) == {1}
    assert len(outside.effects) == 25
    assert sorted(outside.reservations.values()) == ["committed"] * 20 + ["released"] * 5
    eventually(lambda: pending() == (0, 0))
    assert worker.metric("worker_jobs_completed_total", queue="validate") == 25
    assert worker.metric("worker_jobs_completed_total", queue="settle") == 25
