"""How a guided story is told: step by step, each one checked, each request in a form that can be typed in."""

# ruff: noqa: T201 - printing is what a story does

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bookstore.lab.system.status import take_status

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bookstore.lab.system.lifecycle import Start
    from bookstore.lab.system.status import ServiceStatus

RECOVERY_SECONDS = 30.0
LOOK_SECONDS = 0.1
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

    def ask(
        self, method: str, service: str, path: str, body: object = None, *, shown: bool = True
    ) -> httpx.Response:
        """Send one request, and show it in a form that can be typed in.

        The visitor's token goes with those to the gateway; the services' own ports take plain ones here.
        """
        url = f"{self.services[service].url}{path}"
        words = f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body is not None else ""
        headers: dict[str, str] = {}
        if self.visitor.token and service == "gateway":
            headers["Authorization"] = f"Bearer {self.visitor.token}"
            words = f' -H "Authorization: Bearer $TOKEN"{words}'
        if shown:
            print(
                f"   $ curl {'' if method == 'GET' else f'-X {method} '}{shlex.quote(url)}{words}", flush=True
            )
        return self.client.request(method, url, json=body, headers=headers)

    def health(self, service: str) -> dict[str, Any]:
        """What a service says of itself and of those that it depends on."""
        return self.ask("GET", service, "/health", shown=False).json()


def exactly(response: httpx.Response) -> Any:
    """The body, with each number as it was written and not as a float."""
    return json.loads(response.text, parse_float=Decimal)
