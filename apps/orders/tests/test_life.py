"""Changes of an order's state: each at most once, with all that belongs to it, or not at all."""

import asyncio
from decimal import Decimal

import psycopg
import pytest

from bookstore.contracts.orders import Line
from bookstore.orders.life import CHANNEL, Change, Claim, change, reopen
from bookstore.orders.model import NewOrder
from bookstore.orders.store import OrderStore
from bookstore.service.database import Database

EMMA = Line(
    book_id=1,
    book_title="Emma",
    book_author="Austen",
    quantity=2,
    unit_price=Decimal("9.49"),
    total_price=Decimal("18.98"),
)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def database(database_url):
    async with Database(database_url, acquire=20.0) as database:
        yield database


@pytest.fixture
async def ordered(database):
    """Place an order that holds a reservation; gives it."""

    async def order(reservation="r-1"):
        [order] = (await OrderStore(database).keep([NewOrder([EMMA], None)])).values()
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE orders SET reservation_id = %s WHERE id = %s", (reservation, order.id)
            )
            await connection.execute("UPDATE ledger SET traceparent = %s", (TRACE,))
        return order

    return order


async def _changed(database, *changes):
    async with database.connection() as connection:
        return await change(connection, changes)


def _to(order, to, **claim):
    claimed = Claim(order.job_id, **claim) if claim else None
    return Change(order_id=order.id, to=to, cause=f"because {to}", claim=claimed)


async def _told(database, order):
    """Its state, its events, and its jobs."""
    [[state]] = await database.fetch("SELECT status FROM orders WHERE id = %s", (order.id,))
    events = await database.fetch(
        "SELECT from_state, to_state, cause FROM order_events WHERE order_id = %s ORDER BY id", (order.id,)
    )
    jobs = await database.fetch(
        "SELECT kind, state, settlement, reservation_id, traceparent, reserve FROM ledger"
        " WHERE order_id = %s ORDER BY id",
        (order.id,),
    )
    return state, events, jobs


ENDS = [
    ("Validated", "done", "commit"),
    ("Rejected", "done", "release"),
    ("Failed", "dead", "release"),
    ("Cancelled", "cancelled", "release"),
]


@pytest.mark.parametrize(("to", "job", "settlement"), ENDS)
async def test_a_change_brings_its_event_the_end_of_its_job_and_the_settlement(
    database, ordered, to, job, settlement
):
    order = await ordered()
    assert await _changed(database, _to(order, to)) == {order.id}
    assert await _told(database, order) == (
        to,
        [(None, "Processing", "ordered"), ("Processing", to, f"because {to}")],
        [
            ("validate", job, None, None, TRACE, False),
            ("settle", "ready", settlement, "r-1", TRACE, False),
        ],
    )


@pytest.mark.parametrize("first", [to for to, _, _ in ENDS])
@pytest.mark.parametrize("second", ["Validated", "Cancelled"])
async def test_a_final_state_is_final(database, ordered, first, second):
    order = await ordered()
    await _changed(database, _to(order, first))
    before = await _told(database, order)
    assert await _changed(database, _to(order, second)) == set()
    assert await _told(database, order) == before


async def test_an_order_without_a_reservation_has_nothing_to_settle(database, ordered):
    order = await ordered(reservation=None)
    await _changed(database, _to(order, "Validated"))
    _, _, jobs = await _told(database, order)
    assert [kind for kind, *_ in jobs] == ["validate"]


async def test_only_the_newest_claim_may_finish(database, ordered):
    order = await ordered()
    async with database.connection() as connection:
        await connection.execute("UPDATE ledger SET token = 2")
    before = await _told(database, order)
    assert await _changed(database, _to(order, "Validated", token=1)) == set()
    assert await _told(database, order) == before
    assert await _changed(database, _to(order, "Rejected", token=2)) == {order.id}


async def test_one_that_comes_too_late_does_not_keep_the_others_back(database, ordered):
    late, timely = await ordered("r-1"), await ordered("r-2")
    await _changed(database, _to(late, "Cancelled"))
    both = await _changed(database, _to(timely, "Validated", token=0), _to(late, "Validated", token=0))
    assert both == {timely.id}


async def test_of_many_at_once_one_gets_its_way(database_url, ordered):
    order = await ordered()
    async with Database(database_url, size=8, acquire=20.0) as database:
        asked = [_to(order, to) for to, _, _ in ENDS] + [_to(order, "Validated", token=0)] * 4
        found = await asyncio.gather(*(_changed(database, each) for each in asked))
        assert sorted(map(len, found)) == [0] * 7 + [1]
        state, events, jobs = await _told(database, order)
    assert [to for _, to, _ in events] == ["Processing", state]
    assert len(jobs) == 2


async def test_whoever_holds_the_order_first_wins_also_over_one_that_waits(database, ordered, database_url):
    order = await ordered()
    with psycopg.connect(database_url) as first:
        first.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (order.id,))
        waiting = asyncio.create_task(_changed(database, _to(order, "Validated", token=0)))
        while not await database.fetch("SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        first.execute("UPDATE orders SET status = 'Cancelled' WHERE id = %s", (order.id,))
        first.commit()
    assert await waiting == set()
    _, _, jobs = await _told(database, order)
    assert [state for _, state, *_ in jobs] == ["ready"]


async def test_those_who_listen_are_told(database, ordered, database_url):
    order = await ordered()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute(f"LISTEN {CHANNEL}")
        await _changed(database, _to(order, "Validated"))
        heard = [notice.payload async for notice in listener.notifies(timeout=10, stop_after=1)]
    assert heard == [str(order.id)]


async def test_a_failed_order_is_processed_again_with_a_reservation_of_its_own(database, ordered):
    order = await ordered()
    await _changed(database, _to(order, "Failed"))
    async with database.connection() as connection:
        again = await reopen(connection, [order.job_id, order.job_id], "redriven by hand")
        assert list(again) == [order.id]
        assert await reopen(connection, [order.job_id], "twice") == {}
    [[fresh]] = await database.fetch("SELECT reservation_id FROM orders")
    assert fresh not in {None, "r-1"}
    assert await database.fetch("SELECT id, order_id FROM reservations") == [(fresh, order.id)]
    state, events, jobs = await _told(database, order)
    assert state == "Processing"
    assert events[1:] == [
        ("Processing", "Failed", "because Failed"),
        ("Failed", "Processing", "redriven by hand"),
    ]
    assert jobs == [
        ("validate", "redriven", None, None, TRACE, False),
        ("settle", "ready", "release", "r-1", TRACE, False),
        ("validate", "ready", None, None, TRACE, True),
    ]
    found = await OrderStore(database).get(order.id)
    assert found.job_id == again[order.id] > order.job_id


@pytest.mark.parametrize("to", ["Validated", "Rejected", "Cancelled"])
async def test_no_other_order_is_processed_again(database, ordered, to):
    order = await ordered()
    await _changed(database, _to(order, to))
    async with database.connection() as connection:
        assert await reopen(connection, [order.job_id], "please") == {}


async def test_two_reservations_are_never_one(ordered):
    await ordered("r-1")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await ordered("r-1")
