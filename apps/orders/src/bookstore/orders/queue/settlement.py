"""Stock at books: what becomes of the reservation that an order holds, and of those that no order has."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from bookstore.contracts.orders import NewLine
from bookstore.orders.queue.link import Link, NoUse
from bookstore.orders.queue.model import Ended, Job, Outcome, Settled
from bookstore.service.upstream import Answer, Header

_OK, _CREATED = 200, 201
_FINAL: Final = frozenset({404, 409, 410, 422})
"""Answers of books that another try won't change."""
_PATH: Final = "/inventory/reservations"
PAGE: Final = 100


class _Wanted(msgspec.Struct, frozen=True):
    items: list[NewLine]


class _Held(msgspec.Struct, frozen=True):
    reservation_id: str


class _Page(msgspec.Struct, frozen=True):
    data: list[_Held]


_encode = msgspec.json.Encoder().encode
_decode_page = msgspec.json.Decoder(_Page).decode


class Stock:
    """The reservations that books keeps. Each call names its reservation, so that twice is once."""

    def __init__(self, link: Link, headers: Sequence[Header] = ()) -> None:
        self.link = link
        self._headers = [*headers, (b"content-type", b"application/json")]

    async def settle(self, job: Job) -> Outcome:
        """Commit or release a reservation; one that ended the other way before is an operator's."""

        def read(answer: Answer) -> Settled:
            if answer.status == _OK:
                return Settled("done")
            if answer.status in _FINAL:
                return Settled("dead", f"books answered {job.settlement} with status {answer.status}", "4xx")
            raise NoUse.of(answer)

        target = f"{_path(job.reservation_id)}/{job.settlement}"
        return await self.link.work(job, read, "POST", target, headers=self._headers, body=b"")

    async def hold(self, job: Job) -> Outcome | None:
        """Reserve for an order that is processed again; an outcome if that isn't possible, now or ever."""

        def read(answer: Answer) -> Ended | None:
            if answer.status in (_OK, _CREATED):
                return None
            if answer.status in _FINAL:
                return Ended("Failed", f"its stock can't be reserved again (status {answer.status})", "4xx")
            raise NoUse.of(answer)

        body = _encode(_Wanted(job.items))
        return await self.link.work(
            job, read, "PUT", _path(job.reservation_id), headers=self._headers, body=body
        )

    async def held(self, older_than: float, after: str | None) -> list[str]:
        """A page of the reservations that have been held for so many seconds."""

        def read(answer: Answer) -> list[str]:
            if answer.status != _OK:
                raise NoUse.of(answer)
            try:
                return [each.reservation_id for each in _decode_page(answer.body).data]
            except (ValueError, RecursionError):
                raise NoUse("an answer that can't be read", "other") from None

        start = f"&after={quote(after, safe='')}" if after else ""
        target = f"{_PATH}?state=held&older_than={older_than:.0f}&limit={PAGE}{start}"
        return await self.link.call(read, "GET", target, headers=self._headers)

    async def release(self, reservation_id: str) -> None:
        """Release a reservation that no order has; one that is gone already is as good."""

        def read(answer: Answer) -> None:
            if answer.status != _OK and answer.status not in _FINAL:
                raise NoUse.of(answer)

        target = f"{_path(reservation_id)}/release"
        await self.link.call(read, "POST", target, headers=self._headers, body=b"")


def _path(reservation_id: str | None) -> str:
    return f"{_PATH}/{quote(reservation_id or '', safe='')}"
