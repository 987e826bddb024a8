"""What an HTTP answer means: to a breaker, to a retry."""

from http import HTTPStatus
from typing import Any, Final

from bookstore.resilience.outcome import Outcome, Verdict, judge

TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one at the next try."""

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that may be repeated, by their definition."""


def http_verdict(outcome: Outcome[Any]) -> Verdict:
    """A judge for `classify=`: 429 and 5xx are failures of the other side, every other answer is none.

    An error that carries an answer, as `raise_for_status` raises it, is judged by the answer: that a book
    wasn't found is no reason to stop asking.
    """
    answer = outcome.value if outcome.error is None else getattr(outcome.error, "response", None)
    status = getattr(answer, "status_code", None)
    if not isinstance(status, int):
        return judge(outcome.error)
    failed = status == HTTPStatus.TOO_MANY_REQUESTS or (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    )
    return "fail" if failed else "ok"


def transient(answer: Any) -> bool:
    """A predicate for `Retry(result=...)`: whether another try may bring another answer."""
    return getattr(answer, "status_code", None) in TRANSIENT
