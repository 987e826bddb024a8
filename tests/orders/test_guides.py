"""The seeds' guides, as far as they are about the queue: each request and each observation."""

import secrets
from time import monotonic

import httpx
import pytest


def test_seed_002_the_queue(shop):
    """With its paths, at the gateway: create a customer, queue an order, see it processed."""
    base, staff = shop.gateway, shop.staff()
    email = f"ana-{secrets.token_hex(4)}@example.com"
    customer = shop.http.post(f"{base}/customers/", json={"name": "Ana", "email": email}, headers=staff)
    assert (customer.status_code, customer.json()["email"]) == (201, email)

    basket = {"items": [{"book_id": shop.book(), "quantity": 2}]}
    queued = shop.http.post(f"{base}/orders/", json=basket, headers=shop.who)
    assert queued.status_code == 201
    order = queued.json()
    assert order["job_id"]

    shop.eventually(lambda: shop.states([order["id"]]) == {"Validated": 1})
    listed = shop.http.get(f"{base}/orders/", headers=shop.who).json()["data"]
    assert [(each["id"], each["status"]) for each in listed] == [(order["id"], "Validated")]


def test_seed_002_the_queue_levels_the_load(shop):
    """Work piles up while nobody does it, the dashboard shows it, and no order is refused for it."""
    shop.http.post(f"{shop.orders}/v1/queue/pause").raise_for_status()
    ids = shop.accepted(10, shop.book())
    waiting = shop.queue()["validate"]
    assert waiting["unfinished"] == 10
    assert waiting["oldest_age_seconds"] > 0
    assert "paused since" in shop.bookstore.run("orders", "queue", "status").stdout
    assert shop.states(ids) == {"Processing": 10}
    shop.http.post(f"{shop.orders}/v1/queue/resume").raise_for_status()
    shop.each_had_one_effect(ids)


def test_seed_004_every_service_is_well(shop):
    for service in (shop.gateway, shop.orders, shop.worker, shop.supplier):
        health = shop.http.get(f"{service}/health")
        assert (health.status_code, health.json()["status"]) == (200, "healthy")


def test_seed_004_orders_are_created_and_viewed(shop):
    ids = shop.accepted(10, shop.book())
    viewed = shop.http.get(f"{shop.gateway}/get_orders", headers=shop.who).json()
    assert [order["id"] for order in viewed] == sorted(ids, reverse=True)
    shop.each_had_one_effect(ids)


MODES = {
    "normal": ({}, "HEALTHY"),
    "slow": ({"delay": 1}, "DEGRADED"),
    "error": ({}, "UNHEALTHY"),
    "down": ({}, "DOWN"),
}
"""With their parameters, and what a monitor calls a supplier that is in one."""


@pytest.mark.parametrize("mode", MODES)
def test_seed_004_five_orders_in_each_mode(shop, mode):
    """Answered in two seconds, none lost, each state once."""
    parameters, called = MODES[mode]
    told = shop.http.post(f"{shop.supplier}/set_failure_mode", json={"mode": mode, **parameters}).json()
    assert (told["status"], told["mode"]) == ("success", mode)
    assert shop.http.get(f"{shop.control}/get_failure_mode").json()["mode"] == mode
    assert _health(shop) == called

    moved = shop.circuit_moved()
    ids = shop.accepted(5, shop.book())
    if mode in {"error", "down"}:
        shop.eventually(lambda: shop.circuit_moved() > moved)
        assert shop.states(ids) == {"Processing": 5}
        assert {each["effects"] for each in shop.counted(ids).values()} == {0}
        shop.fail("normal")
    shop.each_had_one_effect(ids)


def _health(shop):
    """What the guide's monitor has to find out, by its own rules."""
    started = monotonic()
    try:
        answer = shop.http.get(f"{shop.supplier}/health")
    except httpx.ConnectError:
        return "DOWN"
    if answer.status_code != 200:
        return "UNHEALTHY"
    return "DEGRADED" if monotonic() - started >= 1 else "HEALTHY"


def test_seed_004_a_failing_call_is_tried_three_times(shop):
    """And then the order waits: what can't be decided now is no reason to fail it."""
    shop.fail("error")
    job_id = shop.order(shop.book()).json()["job_id"]
    parked = shop.eventually(lambda: (job := shop.job(job_id))["state"] == "parked" and job)
    assert parked["cause"] == "supplier: status 500"
    order = parked["order_id"]
    calls = shop.counted([order])[order]["calls"]
    # Between two looks it may have been tried again.
    assert 3 <= calls <= 3 * (shop.job(job_id)["episodes"] + 1)
    shop.fail("normal")
    shop.each_had_one_effect([order])


def test_seed_004_another_mode_is_none(shop):
    assert shop.http.post(f"{shop.supplier}/set_failure_mode", json={"mode": "tired"}).status_code == 400
    assert shop.http.get(f"{shop.supplier}/get_failure_mode").json()["mode"] == "normal"
