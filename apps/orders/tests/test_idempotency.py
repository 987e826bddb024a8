"""Idempotency-Key: one order however often it is sent, in both versions."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from bookstore.contracts.orders import Line
from bookstore.orders.idempotency import claiming, store
from bookstore.orders.idempotency.model import Claim, Given, Key, KeyInUse, KeyReused
from bookstore.orders.idempotency.store import ClaimLost, KeyStore
from bookstore.orders.model import NewOrder, Receipt
from bookstore.orders.store import OrderStore
from bookstore.service.database import Database, DatabaseUnavailable

ONE = {"book_id": 1, "quantity": 1}
BASKET = {"items": [{"book_id": 2, "quantity": 1}, {"book_id": 1, "quantity": 3}]}
BODIES = {"v1": ONE, "v2": BASKET}
OTHERS = {"v1": {"book_id": 1, "quantity": 2}, "v2": {"items": [ONE]}}

both_versions = pytest.mark.parametrize("version", ["v1", "v2"])


def _post(client, version, body, key, **headers):
    return client.post(f"/{version}/orders", json=body, headers={"Idempotency-Key": key, **headers})


@both_versions
def test_the_same_again_is_the_same_answer_and_nothing_more(orders, books, query, version):
    first = _post(orders, version, BODIES[version], "k-1")
    assert first.status_code == 201
    assert "idempotent-replay" not in first.headers
    asked = len(books.asked)
    query("UPDATE orders SET status = 'Validated', updated_at = now() + interval '1 minute'")
    books.sell(1, "1.00")
    for _ in range(3):
        again = _post(orders, version, BODIES[version], "k-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotent-replay"] == "true"
        assert again.headers["location"] == first.headers["location"] == f"/{version}/orders/1"
        assert again.headers["content-type"] == first.headers["content-type"]
    assert len(books.asked) == asked
    assert query("SELECT count(*) FROM orders") == [(1,)]
    assert len(books.held()) == 1


def test_the_same_is_what_orders_the_same_however_it_is_written(orders, check_problem):
    first = _post(orders, "v2", BASKET, "k-1")
    split = [{"book_id": 1, "quantity": 1}, {"quantity": 1, "book_id": 2}, {"book_id": 1, "quantity": 2}]
    assert _post(orders, "v2", {"items": split}, "k-1").content == first.content
    split[0]["quantity"] = 2
    check_problem(_post(orders, "v2", {"items": split}, "k-1"), 409, "idempotency-key-reused")


@both_versions
def test_another_body_is_refused_and_the_key_stays_with_the_first(orders, books, check_problem, version):
    first = _post(orders, version, BODIES[version], "k-1")
    asked = len(books.asked)
    check_problem(_post(orders, version, OTHERS[version], "k-1"), 409, "idempotency-key-reused")
    assert len(books.asked) == asked
    assert _post(orders, version, BODIES[version], "k-1").content == first.content
    assert orders.get("/v2/orders").json()["total"] == 1


def test_versions_and_callers_have_keys_of_their_own(database_url, books, accounts, run_orders):
    ana = accounts.bearer("customer", sub="1", customer_id=11)
    ben = accounts.bearer("customer", sub="2", customer_id=12)
    with run_orders(database_url, books.url, accounts_service_url=accounts.url) as client:
        made = [
            _post(client, "v1", ONE, "k", **ana),
            _post(client, "v1", ONE, "k", **ben),
            _post(client, "v1", ONE, "k"),
            _post(client, "v2", BASKET, "k"),
        ]
        assert [answer.json()["id"] for answer in made] == [1, 2, 3, 4]
        assert not any("idempotent-replay" in answer.headers for answer in made)
        assert _post(client, "v1", ONE, "k", **ben).content == made[1].content


@both_versions
@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"a b",
        b"a\tb",
        "ü".encode(),
        "ü".encode("latin-1"),
        b"\xff",
        b"a" * 256,
        b"a" * 5000,
    ],
    ids=range(8),
)
def test_a_key_that_cannot_be_is_refused(shared, shared_books, check_problem, version, key):
    asked = len(shared_books.asked)
    answer = shared.post(f"/{version}/orders", json=BODIES[version], headers=[(b"Idempotency-Key", key)])
    problem = check_problem(answer, 422 if version == "v2" else 400, "validation")
    assert [error["field"] for error in problem["errors"]] == ["Idempotency-Key"]
    assert len(shared_books.asked) == asked


def test_two_keys_are_none(shared, check_problem):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    check_problem(shared.post("/v2/orders", json=BASKET, headers=headers), 422, "validation")


@pytest.mark.parametrize(
    "key", ["a", "!~", '"quoted"', "a" * 255, "%00", "'; DROP TABLE orders; --".replace(" ", "_")]
)
def test_keys_at_the_bounds_are_taken(shared, key):
    first = _post(shared, "v1", ONE, key)
    assert first.status_code == 201
    assert _post(shared, "v1", ONE, key).headers["idempotent-replay"] == "true"


def test_without_a_key_each_is_an_order(orders):
    assert [orders.post("/v1/orders", json=ONE).json()["id"] for _ in range(2)] == [1, 2]


def test_a_refused_request_does_not_burn_its_key(orders, books, check_problem, query, eventually):
    books.stock[1] = 0
    check_problem(_post(orders, "v1", ONE, "k"), 409, "insufficient-stock")
    check_problem(_post(orders, "v1", {"book_id": 999, "quantity": 1}, "k"), 404)
    check_problem(_post(orders, "v1", {"book_id": 1, "quantity": 0}, "k"), 400)
    books.mode = "error"
    check_problem(_post(orders, "v1", ONE, "k"), 503, "books-unavailable")
    books.mode = "well"
    books.stock.clear()
    made = eventually(lambda: (answer := _post(orders, "v1", ONE, "k")).status_code == 201 and answer)
    assert "idempotent-replay" not in made.headers
    assert query("SELECT count(*) FROM orders") == [(1,)]


@both_versions
def test_of_many_at_once_one_orders_and_the_others_learn_of_it(orders, books, query, check_problem, version):
    books.mode = "held"
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(_post, orders, version, BODIES[version], "k-1") for _ in range(8)]
        books.arrived.wait()
        books.hold.set()
        answers = [each.result() for each in asked]
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotent-replay" not in answer.headers for answer in made) == 1
    for answer in answers:
        if answer not in made:
            check_problem(answer, 409, "idempotency-key-in-use")
            assert int(answer.headers["retry-after"]) >= 1
    assert _post(orders, version, BODIES[version], "k-1").content == made[0].content
    assert query("SELECT count(*) FROM orders") == [(1,)]
    assert len(books.held()) == 1


def test_two_processes_share_their_keys(database_url, books, run_orders):
    with run_orders(database_url, books.url) as first, run_orders(database_url, books.url) as second:
        made = _post(first, "v2", BASKET, "k")
        again = _post(second, "v2", BASKET, "k")
        assert (again.content, again.headers["idempotent-replay"]) == (made.content, "true")


def test_a_key_whose_time_is_over_is_a_new_one(orders, query):
    assert _post(orders, "v1", ONE, "k").json()["id"] == 1
    query("UPDATE idempotency_keys SET claimed_at = now() - interval '23 hours 59 minutes'")
    assert _post(orders, "v1", ONE, "k").json()["id"] == 1
    query("UPDATE idempotency_keys SET claimed_at = now() - interval '24 hours 1 second'")
    assert _post(orders, "v1", {"book_id": 2, "quantity": 2}, "k").json()["id"] == 2


def test_a_claim_of_a_process_that_died_is_respected_and_then_taken_over(orders, query, check_problem):
    made = _post(orders, "v1", ONE, "k")
    query("UPDATE idempotency_keys SET order_id = NULL, answer = NULL")  # as it was before the commit
    check_problem(_post(orders, "v1", ONE, "k"), 409, "idempotency-key-in-use")
    query("UPDATE idempotency_keys SET claimed_at = now() - interval '3.5 seconds'")
    again = _post(orders, "v1", ONE, "k")
    assert (again.status_code, again.json()["id"]) == (201, made.json()["id"] + 1)
    assert _post(orders, "v1", ONE, "k").content == again.content


@asynccontextmanager
async def _stores(url, kept=86_400.0):
    async with Database(url, acquire=20.0) as database:
        yield OrderStore(database), KeyStore(database, kept=kept)


LINE = Line(
    book_id=1, book_title="a", book_author="b", quantity=1, unit_price=Decimal(1), total_price=Decimal(1)
)


def _new(receipt):
    return NewOrder([LINE], None, receipt=receipt)


def _claim(text="k"):
    return Claim(Key("v1 operator", text, b"f"), uuid4())


def _answer(order):
    return b"order %d" % order.id


async def test_one_that_wakes_up_after_its_claim_was_taken_over_keeps_nothing(database_url, query):
    async with _stores(database_url) as (orders, keys):
        slow, quick, other = _claim(), _claim(), _claim("other")
        assert await keys.claim(slow) is None
        query("UPDATE idempotency_keys SET claimed_at = now() - interval '1 minute'")
        assert await keys.claim(quick) is await keys.claim(other) is None
        # All three are committed together, and only the one whose claim is gone is refused.
        with_key = [_new(Receipt(claim, _answer)) for claim in (slow, quick, other)]
        kept = [*(await orders.keep([*with_key, _new(None)])).values()]
        assert isinstance(kept[0], ClaimLost)
        assert query("SELECT id FROM orders ORDER BY id") == sorted((order.id,) for order in kept[1:])
        assert query("SELECT count(*) FROM ledger") == query("SELECT count(*) FROM order_lines") == [(3,)]
        await keys.forget(slow)
        await keys.forget(quick)
        assert await keys.claim(_claim()) == Given(kept[1].id, b"order %d" % kept[1].id)


async def test_old_keys_are_swept_and_others_stay(database_url, query):
    async with _stores(database_url, kept=3600) as (orders, keys):
        await keys.claim(answered := _claim())
        await orders.keep([_new(Receipt(answered, _answer))])
        query(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, token, claimed_at)"
            " SELECT 'old', n::text, 'f', gen_random_uuid(), now() - interval '61 minutes'"
            " FROM generate_series(1, 700) n"
        )
        assert await keys.sweep()
        assert not await keys.sweep()
        assert query("SELECT scope, key FROM idempotency_keys") == [("v1 operator", "k")]
        await keys.claim(_claim("new"))
        assert not await keys.sweep()
        with pytest.raises(KeyInUse):
            await keys.claim(_claim("new"))


async def test_keys_that_are_claimed_together_are_claimed_each_for_itself(database_url):
    async with _stores(database_url) as (orders, keys):
        await keys.claim(answered := _claim("answered"))
        await orders.keep([_new(Receipt(answered, _answer))])
        await keys.claim(_claim("busy"))
        reused = Claim(Key("v1 operator", "answered", b"other"), uuid4())
        twin = Claim(Key("v1 operator", "new", b"other"), uuid4())
        others = [_claim(text) for text in ("new", "last", "answered", "busy", "new")]
        told = await asyncio.gather(
            *(keys.claim(each) for each in [*others, twin, reused]), return_exceptions=True
        )
        assert told[:3] == [None, None, Given(1, b"order 1")]
        assert [type(each) for each in told[3:]] == [KeyInUse, KeyInUse, KeyReused, KeyReused]


async def test_a_key_that_somebody_holds_on_to_keeps_no_other_waiting(database_url):
    async with _stores(database_url) as (_, keys):
        await keys.claim(_claim("held"))
        async with await psycopg.AsyncConnection.connect(database_url) as other:
            await other.execute("UPDATE idempotency_keys SET claimed_at = now() - interval '1 minute'")
            told = await asyncio.gather(
                keys.claim(_claim("held")), keys.claim(_claim("free")), return_exceptions=True
            )
            assert isinstance(told[0], DatabaseUnavailable)
            assert told[1] is None


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_a_claim_that_nobody_waits_for_any_more_is_forgotten(database_url, query, turns):
    """Wherever its request is given up: before it is sent, while it is under way, or just after."""
    async with _stores(database_url) as (_, keys):
        asking = asyncio.create_task(keys.claim(given_up := _claim()))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        await keys.forget(given_up)  # as whoever places an order does
        await keys.claim(_claim("next"))
        assert query("SELECT key FROM idempotency_keys") == [("next",)]


JOINS = {
    "answered": lambda connection, claim: store.answer(connection, [(claim, Given(1, b"{}"))]),
    "forgotten": lambda connection, claim: claiming.forget(connection, [claim]),
    "somebody's": lambda connection, claim: claiming.Claiming._taken(connection, [claiming._Asked(claim)]),
}


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
async def test_many_keys_are_not_read_by_a_plan_for_few(database_url, join):
    claim = Claim(Key("v1", "k", b"1"), uuid4())
    async with Database(database_url, patience=20.0, acquire=20.0) as database, database.connection() as ours:
        for _ in range(15):  # a plan that is kept is made by now
            with suppress(ClaimLost):
                await join(ours, claim)
        async with ours.transaction():
            await ours.execute(
                "INSERT INTO idempotency_keys (scope, key, fingerprint, token)"
                " SELECT 'v1', n, '', gen_random_uuid() FROM generate_series(1, 8000) AS n"
            )
        async with ours.transaction():
            with suppress(ClaimLost):
                await join(ours, claim)
            cursor = await ours.execute(
                "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'idempotency_keys'"
            )
            assert await cursor.fetchone() == (0,)
