"""The queue of what orders are owed, as an operator sees it."""

from datetime import datetime
from typing import Literal

from bookstore.contracts.base import Id, Wire
from bookstore.contracts.orders import State

Kind = Literal["validate", "settle"]
JobState = Literal["ready", "parked", "done", "dead", "cancelled", "redriven", "purged"]


class KindStatus(Wire, frozen=True, kw_only=True):
    """The unfinished jobs of one kind, each in one of four conditions, and the dead ones."""

    unfinished: int
    waiting: int
    published: int
    in_hand: int
    parked: int
    dead: int
    oldest_age_seconds: float


class QueueStatus(Wire, frozen=True, kw_only=True):
    """What GET /v1/queue answers."""

    paused_since: datetime | None
    kinds: dict[Kind, KindStatus]


class Job(Wire, frozen=True, kw_only=True):
    """One job: a row of the ledger."""

    id: Id
    kind: Kind
    order_id: Id
    order_status: State
    state: JobState
    cause: str | None
    attempts: int
    episodes: int
    created_at: datetime
    due_at: datetime
    lease_until: datetime | None
    finished_at: datetime | None
    settlement: Literal["commit", "release"] | None
    reservation_id: str | None


class JobEvent(Wire, frozen=True, kw_only=True):
    """One change of the state of a job's order."""

    from_state: State | None
    to_state: State
    at: datetime
    cause: str


class JobHistory(Wire, frozen=True, kw_only=True):
    """What GET /v1/queue/jobs/{id} answers: all jobs of its order, and all events of the order."""

    job: Job
    jobs: list[Job]
    events: list[JobEvent]


class DeadJobs(Wire, frozen=True, kw_only=True):
    """A page of the dead letters, the newest first."""

    data: list[Job]
    total: int
    limit: int
    offset: int


class Redriven(Wire, frozen=True, kw_only=True):
    """How many dead jobs are tried again."""

    redriven: int


class Purged(Wire, frozen=True, kw_only=True):
    """How many dead jobs were put away for good."""

    purged: int
