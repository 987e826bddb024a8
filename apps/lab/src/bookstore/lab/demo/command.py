"""The guided story: browse, register, order, two outages, recovery. Every step is checked."""

# ruff: noqa: T201 - printing is what a story does

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx

from bookstore.lab.demo.outages import catalogue_away, supplier_away
from bookstore.lab.demo.story import CREATED, BrokenPromiseError, Story, exactly
from bookstore.lab.failures import Exit
from bookstore.lab.system.lifecycle import AlreadyRunningError, down, up_apart
from bookstore.lab.system.status import take_status
from bookstore.lab.system.table import table

if TYPE_CHECKING:
    from bookstore.lab.system.lifecycle import Start

PRICE = "19.99"
QUANTITY = 3
TOTAL = Decimal("59.97")
ASK_SECONDS = 5.0


def demo(start: Start, *, pause: bool) -> int:
    """Tell the story, on the system that runs or on one of its own; the exit code says whether it held."""
    mine = True
    print("starting the bookstore", flush=True)
    try:
        # Bound: if somebody kills the demo, its system ends as well.
        up_apart(start, lambda line: print(f"   {line}", flush=True), bound=True)
    except AlreadyRunningError:
        mine = False
        print(f"   it runs already, with its state in {start.folder.path}")
    try:
        with httpx.Client(timeout=ASK_SECONDS, trust_env=False) as client:
            story = Story(start, pause, client)
            _tell(story)
    except (BrokenPromiseError, httpx.HTTPError, KeyError, ValueError) as error:
        print(f"   ✗ {error or type(error).__name__}", flush=True)
        print(f"     what each process said is in {start.folder.path / 'logs'}", flush=True)
        return Exit.FAILED
    finally:
        if mine:
            print("\nending the bookstore", flush=True)
            down(start.folder, lambda line: print(f"   {line}", flush=True))
    _next_steps(story, mine=mine)
    return Exit.OK


def _tell(story: Story) -> None:
    _everything_runs(story)
    _browse(story)
    book = _create(story)
    _register(story)
    order = _order(story, book)
    _read_back(story, order)
    catalogue_away(story, book, order)
    supplier_away(story, book)


def _everything_runs(story: Story) -> None:
    story.step("Everything runs, and says so")
    story.look()
    snapshot = take_status(story.start.folder)
    print("\n".join(f"   {line}" for line in table(snapshot)))
    for name in ("books", "orders", "accounts", "gateway"):
        answer = story.ask("GET", name, "/health")
        status = answer.json().get("status")
        story.check(f"{name} is {status}", holds=answer.is_success and status == "healthy", seen=answer.text)


def _browse(story: Story) -> None:
    story.step("Browse the catalogue, through the gateway, in both versions of the interface")
    url = f"{story.services['gateway'].url}/v1/books"
    # The first start of all fills the catalogue, and may have been quicker to serve than to fill.
    story.wait_for("the catalogue is filled", lambda: bool(story.client.get(url).json()))
    answer = story.ask("GET", "gateway", "/v1/books?limit=3")
    books = exactly(answer)
    story.check("v1 answers a plain list", holds=answer.is_success and len(books) > 0, seen=answer.text)
    for book in books:
        print(f"     {book['price']:>8}  {book['title']} — {book['author']}")
    answer = story.ask("GET", "gateway", "/v2/books?limit=3")
    page = exactly(answer)
    story.check(
        f"v2 answers a page of a catalogue of {page.get('total')} books",
        holds=answer.is_success and page["total"] >= len(page["data"]) > 0,
        seen=answer.text,
    )


def _create(story: Story) -> int:
    story.step("Add a book")
    wanted = {"title": "The Book of the Demo", "author": "A. Visitor", "price": PRICE}
    answer = story.ask("POST", "books", "/v1/books", wanted)
    book = exactly(answer)
    story.check(
        f"it is number {book.get('id')} and costs {PRICE}",
        holds=answer.status_code == CREATED and book["price"] == PRICE,
        seen=answer.text,
    )
    return int(book["id"])


def _register(story: Story) -> None:
    story.step("Become a customer, log in, and be known")
    visitor = story.visitor
    answer = story.ask("POST", "gateway", "/auth/register", {**visitor.login, "name": "A. Visitor"})
    story.check(f"{visitor.email} is registered", holds=answer.status_code == CREATED, seen=answer.text)
    story.log_in()
    answer = story.ask("GET", "gateway", "/auth/me")
    me = answer.json()
    story.check(
        f"the token says who asks: customer {me.get('customer_id')}",
        holds=answer.is_success and me["email"] == visitor.email,
        seen=answer.text,
    )


def _order(story: Story, book: int) -> dict[str, Any]:
    story.step("Order it")
    answer = story.ask("POST", "gateway", "/v1/orders", {"book_id": book, "quantity": QUANTITY})
    order = exactly(answer)
    created = answer.status_code == CREATED
    story.check(
        "the order keeps title and price as they are now",
        holds=created
        and order["book_title"] == "The Book of the Demo"
        and order["unit_price"] == Decimal(PRICE),
        seen=answer.text,
    )
    story.check(
        f"{QUANTITY} x {PRICE} = {TOTAL}, to the cent", holds=order["total_price"] == TOTAL, seen=answer.text
    )
    return order


def _read_back(story: Story, order: dict[str, Any]) -> None:
    story.step("Read the order back")
    answer = story.ask("GET", "gateway", f"/v1/orders/{order['id']}")
    again = exactly(answer)
    same = ("id", "book_id", "book_title", "quantity", "unit_price", "total_price")
    story.check(
        f"order {order['id']} is still there, unchanged",
        holds=answer.is_success and all(again[key] == order[key] for key in same),
        seen=answer.text,
    )


def _next_steps(story: Story, *, mine: bool) -> None:
    print("\nEvery step held. To go on:")
    if mine:
        print("  bookstore up --detach          start it again, with everything you have just made")
    print("  bookstore status               what runs, and how it is")
    print("  bookstore logs -f orders       watch a service at work")
    print("  bookstore orders queue status  what orders are owed, and how it stands")
    print("  kill -9 <pid>                  break something else, and look again")
    print(f"  {story.services['gateway'].url}/docs     the gateway's own description of what it answers")
