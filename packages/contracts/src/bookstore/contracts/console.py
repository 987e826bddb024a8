"""What the console asks of the monitor beside looking on: sessions, switches, and trying things out."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from bookstore.contracts.accounts import Typed
from bookstore.contracts.base import Id, Wire
from bookstore.contracts.circuits import CircuitAction, CircuitName
from bookstore.contracts.faults import FaultValue

ServiceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9-]*\Z")]


class SignIn(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/session takes: an address and its password, or a ticket."""

    email: Typed | UnsetType = UNSET
    password: Typed | UnsetType = UNSET
    ticket: Typed | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse what is neither form, or half of one.

        Raises:
            ValueError: which a decoder reports as a field of the wrong shape.
        """
        if self.ticket is UNSET:
            if self.email is UNSET or self.password is UNSET:
                raise ValueError("needs email and password, or a ticket")
        elif self.email is not UNSET or self.password is not UNSET:
            raise ValueError("takes email and password, or a ticket, not both")


class Session(Wire, frozen=True, kw_only=True):
    """What GET and POST /v2/monitor/session answer: who looks on, and what is open to them."""

    signed_in: bool
    who: str | None
    roles: list[str]
    expires_at: datetime | None
    """When the session is over at the latest; None without one."""
    may_read: bool
    """Whether what is for ops is shown to them; without a session too where no token is required."""
    may_switch: bool
    faults_allowed: bool
    lab_available: bool
    jaeger_url: str | None
    """Where all traces are, if that is elsewhere."""


class NewTicket(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/tickets takes beside the bearer token, with which the session will speak."""

    refresh_token: Typed | None = None
    """Lets the session last longer than the token."""


class Ticket(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/tickets answers: good for one sign-in, until then."""

    ticket: str
    expires_at: datetime


class CircuitSwitch(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/circuits takes: in one process of a service, or in all."""

    service: ServiceName
    instance: ServiceName | None = None
    dependency: CircuitName
    action: CircuitAction


class SwitchedCircuit(Wire, frozen=True, kw_only=True):
    """What became of it in one process: the new state, or None and why not."""

    service: str
    instance: str
    dependency: str
    state: str | None
    detail: str


class SwitchedCircuits(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/circuits answers."""

    data: list[SwitchedCircuit]


class DeadJobChoice(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/queue/redrive and /purge take: one dead job, or all, which has to be said."""

    job_id: Id | None


class Attempt(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/try takes."""

    what: Literal["browse", "book", "buy", "flood"]


class TriedAnswer(Wire, frozen=True, kw_only=True):
    """One request through the gateway, and what came of it."""

    method: str
    path: str
    status: int | None
    """None if there was no answer."""
    ms: float
    trace_id: str
    request_id: str
    body: str
    """The first 2,000 characters."""


class TriedSummary(Wire, frozen=True, kw_only=True):
    """All requests of an attempt together."""

    requests: int
    by_status: dict[str, int]
    """By status; `none` of those without an answer."""
    p50_ms: float
    p95_ms: float


class Tried(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/try answers. Of a flood the answers are a few of each status."""

    answers: list[TriedAnswer]
    summary: TriedSummary


class AuditEntry(Wire, frozen=True, kw_only=True):
    """Something that somebody switched, or tried to."""

    at: datetime
    who: str
    action: str
    target: str
    parameters: dict[str, FaultValue | None]
    outcome: str
    """`done`, or the kind of the problem with which it was refused or failed."""


class Audit(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/audit answers, the newest first."""

    data: list[AuditEntry]
