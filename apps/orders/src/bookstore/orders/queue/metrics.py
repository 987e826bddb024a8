"""Metrics of the queue: `worker_jobs_*` tell what came of jobs, `bookstore_queue_*` how the ledger is."""

from collections.abc import Callable, Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bookstore.orders.queue.ledger import Reason
from bookstore.orders.queue.model import Kind, Outcome, Parked, Trouble

SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TROUBLES: Final[tuple[Trouble, ...]] = get_args(Trouble)


class WorkerMetrics:
    """What a worker did. Every series exists from the start, so that the first event is an increase."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._completed = Counter(
            "worker_jobs_completed", "Jobs that came to their end.", ["queue"], registry=registry
        )
        self._failed = Counter(
            "worker_jobs_failed", "Episodes of jobs that failed.", ["queue", "class"], registry=registry
        )
        self._seconds = Histogram(
            "worker_job_duration_seconds",
            "From the claim of a job to its outcome.",
            ["queue"],
            buckets=SECONDS,
            registry=registry,
        )
        self._fenced = Counter(
            "bookstore_queue_fenced", "Outcomes that came too late.", ["what"], registry=registry
        )
        self._published = Counter(
            "bookstore_queue_republished",
            "Jobs that the bell was rung for again.",
            ["kind", "reason"],
            registry=registry,
        )
        self._in_flight = Gauge("bookstore_queue_in_flight", "Jobs in hand.", ["kind"], registry=registry)
        self._poll_age = Gauge(
            "bookstore_queue_last_poll_age_seconds",
            "Seconds since the stream was last read with success.",
            ["kind"],
            registry=registry,
        )
        for what in ("finish", "park"):
            self._fenced.labels(what)
        for kind in KINDS:
            self._completed.labels(kind)
            self._seconds.labels(kind)
            for trouble in TROUBLES:
                self._failed.labels(kind, trouble)
            for reason in get_args(Reason):
                if reason != "new":
                    self._published.labels(kind, reason)

    def watch(self, kind: Kind, in_flight: Callable[[], float], poll_age: Callable[[], float]) -> None:
        """Show these numbers of a lane whenever they are asked for."""
        self._in_flight.labels(kind).set_function(in_flight)
        self._poll_age.labels(kind).set_function(poll_age)

    def published(self, kind: Kind, reasons: Iterable[Reason]) -> None:
        """Count what the bell was rung for, but for what it was rung for the first time."""
        for reason in reasons:
            if reason != "new":
                self._published.labels(kind, reason).inc()

    def ended(self, kind: Kind, outcome: Outcome, seconds: float) -> None:
        """Count a job whose outcome has been committed."""
        self._seconds.labels(kind).observe(seconds)
        if outcome.trouble is not None:
            self._failed.labels(kind, outcome.trouble).inc()
        if not isinstance(outcome, Parked):
            self._completed.labels(kind).inc()

    def fenced(self, outcome: Outcome) -> None:
        """Count an outcome that came too late."""
        self._fenced.labels("park" if isinstance(outcome, Parked) else "finish").inc()
