"""The outages of the story: who stands when others fall, and what becomes of the orders."""

# ruff: noqa: T201 - printing is what a story does

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from bookstore.lab.demo.story import CREATED, UNAVAILABLE
from bookstore.lab.system.status import take_status

if TYPE_CHECKING:
    from bookstore.lab.demo.story import Story

MODE = "/set_failure_mode"
DOWN_FOR = 120
"""Seconds after which the supplier comes back by itself, should the story end before."""
MANY = 12
"""Orders, enough to open the circuit."""
PROMISE_SECONDS = 2.0


def catalogue_away(story: Story, book: int, order: dict[str, Any]) -> None:
    """Books is killed: new orders are refused, old ones can be read, and it comes back by itself."""
    story.step("An outage: kill the catalogue, and see who stands")
    victim = next(
        row.process for row in take_status(story.start.folder).rows if row.name == "books" and row.process
    )
    print(f"   $ kill -9 {victim.pid}", flush=True)
    story.check("books is gone", holds=victim.send(signal.SIGKILL))
    wish = {"book_id": book, "quantity": 1}
    answer = story.ask("POST", "gateway", "/v1/orders", wish)
    story.check(
        f"a new order is refused with 503, and told to come back in {answer.headers.get('Retry-After')} s",
        holds=answer.status_code == UNAVAILABLE and "Retry-After" in answer.headers,
        seen=answer.text,
    )
    answer = story.ask("GET", "gateway", f"/v1/orders/{order['id']}")
    story.check("the orders that are there can still be read", holds=answer.is_success, seen=answer.text)
    answer = story.ask("GET", "orders", "/health")
    health = answer.json()
    story.check(
        f"orders says that it is {health['status']}, and that books is {health['services'].get('books')}",
        holds=health["status"] == "degraded" and health["services"].get("books") == "unhealthy",
        seen=answer.text,
    )

    story.step("Recovery, without anybody doing anything")

    def healthy_again() -> bool:
        snapshot = take_status(story.start.folder)
        return snapshot.all_healthy and all(row.process != victim for row in snapshot.rows)

    story.wait_for("books was started again, and everything is healthy", healthy_again)
    story.look()
    answer = story.ask("POST", "gateway", "/v1/orders", wish)
    story.check("orders are taken again", holds=answer.status_code == CREATED, seen=answer.text)


def supplier_away(story: Story, book: int) -> None:
    """The supplier refuses everybody: orders are taken all the same, wait, and each is validated once."""
    orders = _order_without_supplier(story, book)
    _watch_the_circuit(story, orders)
    _drain(story, orders)
    _count_effects(story, orders)


def _order_without_supplier(story: Story, book: int) -> list[int]:
    story.step("Another outage: the supplier, who has to validate every order, refuses to be called")
    answer = story.ask("POST", "supplier-control", MODE, {"mode": "down", "for": DOWN_FOR})
    story.check("the supplier is down", holds=answer.is_success, seen=answer.text)
    wish = {"book_id": book, "quantity": 1}
    answers = [story.ask("POST", "gateway", "/v2/orders", {"items": [wish]})]
    print(f"   … and {MANY - 1} more like it", flush=True)
    answers += [
        story.ask("POST", "gateway", "/v2/orders", {"items": [wish]}, shown=False) for _ in range(MANY - 1)
    ]
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    story.check(
        f"all {MANY} orders are accepted, the slowest in {slowest:.2f} s of {PROMISE_SECONDS:.0f}",
        holds=all(answer.status_code == CREATED for answer in answers) and slowest < PROMISE_SECONDS,
        seen=Counter(answer.status_code for answer in answers),
    )
    return [answer.json()["id"] for answer in answers]


def _watch_the_circuit(story: Story, orders: list[int]) -> None:
    story.step("They wait in the queue, and nobody runs against a closed door")
    story.wait_for(
        "the circuit round the supplier opened: the worker, too, says that the supplier is away",
        lambda: story.health("orders-worker")["services"].get("supplier") == "unhealthy",
    )
    story.wait_for(
        f"the queue holds {MANY} orders",
        lambda: story.health("orders")["queue"]["unfinished"] >= MANY,
    )
    answer = story.ask("GET", "orders", "/health")
    print(f"     {json.dumps(answer.json()['queue'])}")
    answer = story.ask("GET", "gateway", f"/v2/orders/{orders[0]}")
    story.check(
        f"order {orders[0]} is Processing, not Failed",
        holds=answer.json()["status"] == "Processing",
        seen=answer.text,
    )
    print("     the same at the operator's desk: bookstore orders queue status")


def _drain(story: Story, orders: list[int]) -> None:
    story.step("The supplier is back, and the queue drains by itself")
    answer = story.ask("POST", "supplier-control", MODE, {"mode": "normal"})
    story.check("the supplier is open again", holds=answer.is_success, seen=answer.text)
    began = time.monotonic()

    def states() -> Counter[str]:
        page = story.ask("GET", "gateway", f"/v2/orders?limit={2 * MANY}", shown=False).json()["data"]
        return Counter(order["status"] for order in page if order["id"] in orders)

    story.wait_for(f"all {MANY} orders are Validated", lambda: states() == {"Validated": MANY})
    print(f"     {time.monotonic() - began:.1f} s after it came back: its circuit is tried now and then")
    story.wait_for("everything is healthy", lambda: take_status(story.start.folder).all_healthy)
    answer = story.ask("GET", "gateway", f"/v2/orders/{orders[0]}/history")
    changes = [event["to"] for event in answer.json()["events"]]
    story.check(
        f"order {orders[0]} went {' -> '.join(changes)}, each state once",
        holds=changes == ["Processing", "Validated"],
        seen=answer.text,
    )


def _count_effects(story: Story, orders: list[int]) -> None:
    story.step("Nothing lost, nothing twice: the supplier has counted what it did")
    answer = story.ask("GET", "supplier-control", f"/effects?order_id={orders[0]}")
    print(f"     {answer.text}")
    counted = story.ask("GET", "supplier-control", "/effects").json()["orders"]
    effects = [counted.get(str(order), {}).get("effects", 0) for order in orders]
    story.check(
        f"{MANY} orders, {sum(effects)} effects, one for each", holds=set(effects) == {1}, seen=effects
    )
