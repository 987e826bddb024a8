"""The guided story: browse, register, order, an outage of the catalogue, recovery. Every step is checked."""

# ruff: noqa: T201 - printing is what a story does

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx

from bookstore.lab.failures import Exit
from bookstore.lab.system.lifecycle import AlreadyRunningError, Start, down, up_apart
from bookstore.lab.system.status import take_status
from bookstore.lab.system.table import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bookstore.lab.system.status import ServiceStatus

RECOVERY_SECONDS = 30.0
LOOK_SECONDS = 0.1
PRICE = "19.99"
QUANTITY = 3
TOTAL = Decimal("59.97")
ASK_SECONDS = 5.0
OK = 200
CREATED = 201
UNAVAILABLE = 503


class BrokenPromiseError(Exception):
    """A step of the story didn't hold."""


@dataclass
class Visitor:
    """The customer of the story, whom nobody has seen before."""

    email: str = field(default_factory=lambda: f"visitor-{secrets.token_hex(4)}@example.com")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = ""
    renew_at: float = 0.0

    @property
    def login(self) -> dict[str, str]:
        """What the visitor logs in with."""
        return {"email": self.email, "password": self.password}


@dataclass
class Story:
    """Tells the steps, and checks each one."""

    start: Start
    pause: bool
    client: httpx.Client
    visitor: Visitor = field(default_factory=Visitor)
    steps: int = 0
    services: dict[str, ServiceStatus] = field(default_factory=dict[str, "ServiceStatus"])

    def step(self, title: str) -> None:
        """Begin a step; wait for the reader if there is one."""
        if self.pause and self.steps:
            with contextlib.suppress(EOFError):
                input("  … press Enter to go on")
        self.steps += 1
        print(f"\n{self.steps}. {title}", flush=True)
        if self.visitor.token and time.monotonic() > self.visitor.renew_at:
            # The reader took longer than a token lives.
            self.log_in()

    def check(self, claim: str, *, holds: bool, seen: object = "") -> None:
        """Say what holds, or end the story with what was seen instead."""
        if not holds:
            raise BrokenPromiseError(f"{claim}: this didn't hold; seen was {seen}")
        print(f"   ✓ {claim}", flush=True)

    def wait_for(self, claim: str, condition: Callable[[], bool]) -> None:
        """Wait until something holds, for a while."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise BrokenPromiseError(f"{claim}: not within {RECOVERY_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
        print(f"   ✓ {claim}", flush=True)

    def look(self) -> None:
        """See what runs now."""
        self.services = {s.name: s for s in take_status(self.start.folder).status.services}

    def log_in(self) -> None:
        """Get the visitor a token, which goes with each request from then on."""
        self.visitor.token = ""
        answer = self.ask("POST", "gateway", "/auth/login", self.visitor.login)
        granted = answer.json()
        self.check(
            f"the access token is good for {granted.get('expires_in')} s",
            holds=answer.status_code == OK and granted["token_type"].lower() == "bearer",
            seen=answer.status_code,
        )
        self.visitor.token = granted["access_token"]
        self.visitor.renew_at = time.monotonic() + granted["expires_in"] / 2
        print("   $ TOKEN=...   # the access_token of that answer")

    def ask(self, method: str, service: str, path: str, body: object = None) -> httpx.Response:
        """Send one request, and show it in a form that can be typed in; with the visitor's token, if any."""
        url = f"{self.services[service].url}{path}"
        shown = f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body is not None else ""
        headers: dict[str, str] = {}
        if self.visitor.token:
            headers["Authorization"] = f"Bearer {self.visitor.token}"
            shown = f' -H "Authorization: Bearer $TOKEN"{shown}'
        print(f"   $ curl {'' if method == 'GET' else f'-X {method} '}{url}{shown}", flush=True)
        return self.client.request(method, url, json=body, headers=headers)


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
            _tell(Story(start, pause, client))
    except (BrokenPromiseError, httpx.HTTPError, KeyError, ValueError) as error:
        print(f"   ✗ {error or type(error).__name__}", flush=True)
        return Exit.FAILED
    finally:
        if mine:
            print("\nending the bookstore", flush=True)
            down(start.folder, lambda line: print(f"   {line}", flush=True))
    _next_steps(mine=mine)
    return Exit.OK


def _tell(story: Story) -> None:
    _everything_runs(story)
    _browse(story)
    book = _create(story)
    _register(story)
    order = _order(story, book)
    _read_back(story, order)
    _outage(story, book, order)


def _exactly(response: httpx.Response) -> Any:
    """The body, with each number as it was written and not as a float."""
    return json.loads(response.text, parse_float=Decimal)


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
    books = _exactly(answer)
    story.check("v1 answers a plain list", holds=answer.is_success and len(books) > 0, seen=answer.text)
    for book in books:
        print(f"     {book['price']:>8}  {book['title']} — {book['author']}")
    answer = story.ask("GET", "gateway", "/v2/books?limit=3")
    page = _exactly(answer)
    story.check(
        f"v2 answers a page of a catalogue of {page.get('total')} books",
        holds=answer.is_success and page["total"] >= len(page["data"]) > 0,
        seen=answer.text,
    )


def _create(story: Story) -> int:
    story.step("Add a book")
    wanted = {"title": "The Book of the Demo", "author": "A. Visitor", "price": PRICE}
    answer = story.ask("POST", "books", "/v1/books", wanted)
    book = _exactly(answer)
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
    order = _exactly(answer)
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
    again = _exactly(answer)
    same = ("id", "book_id", "book_title", "quantity", "unit_price", "total_price")
    story.check(
        f"order {order['id']} is still there, unchanged",
        holds=answer.is_success and all(again[key] == order[key] for key in same),
        seen=answer.text,
    )


def _outage(story: Story, book: int, order: dict[str, Any]) -> None:
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


def _next_steps(*, mine: bool) -> None:
    print("\nEvery step held. To go on:")
    if mine:
        print("  bookstore up --detach      start it again, with everything you have just made")
    print("  bookstore status           what runs, and how it is")
    print("  bookstore logs -f orders   watch a service at work")
    print("  kill -9 <pid>              break something else, and look again")
    print("  http://127.0.0.1:8080/docs the gateway's own description of what it answers")
