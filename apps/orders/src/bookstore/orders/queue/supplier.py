"""The supplier, which says of an order whether it can be had, and what its answers mean."""

from typing import Final

import msgspec

from bookstore.contracts.orders import NewLine
from bookstore.orders.life import End
from bookstore.orders.queue.link import Link, NoUse
from bookstore.orders.queue.model import Ended, Job, Outcome
from bookstore.service.upstream import Answer

PATH: Final = "/validate"
_OK, _BAD_REQUEST, _SERVER_ERROR = 200, 400, 500
_NOT_NOW: Final = frozenset({408, 409, 425, 429})
"""Of what is said to be our own fault, that which another try may mend."""
_STATES: Final[dict[str, End]] = {"validated": "Validated", "rejected": "Rejected"}


class _Question(msgspec.Struct, frozen=True):
    order_id: int
    items: list[NewLine]


class _Verdict(msgspec.Struct, frozen=True):
    """What is read of an answer; whatever else it may tell one day is passed over."""

    order_id: int
    status: str
    reason: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Verdict).decode


class Supplier:
    """The outside world. The order's id is its key there, so that asking twice does nothing twice."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def validate(self, job: Job) -> Outcome:
        """Ask; a question that can't be put or answered now is parked."""
        question = _encode(_Question(job.order_id, job.items))
        headers = [
            (b"content-type", b"application/json"),
            (b"idempotency-key", str(job.order_id).encode()),
        ]
        return await self.link.work(
            job,
            lambda answer: verdict_of(job.order_id, answer),
            "POST",
            PATH,
            headers=headers,
            body=question,
        )


def verdict_of(order_id: int, answer: Answer) -> Ended:
    """What an answer means for the order.

    Raises:
        NoUse: if it decides nothing: an error that may pass, or a body that is none of ours.
    """
    if answer.status == _OK:
        try:
            verdict = _decode(answer.body)
        except (ValueError, RecursionError):
            raise NoUse("an answer that can't be read", "other") from None
        if verdict.order_id != order_id or verdict.status not in _STATES:
            raise NoUse("an answer to another question", "other")
        return Ended(_STATES[verdict.status], verdict.reason or f"{verdict.status} by the supplier")
    if _BAD_REQUEST <= answer.status < _SERVER_ERROR and answer.status not in _NOT_NOW:
        return Ended("Failed", f"the supplier refused the order with status {answer.status}", "4xx")
    raise NoUse.of(answer)
