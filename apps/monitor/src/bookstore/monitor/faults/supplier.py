"""The supplier's switch, at its control port. It counts the time itself: no mode outlives its time."""

import asyncio
import logging
import secrets
from time import monotonic
from typing import Final, Self

import msgspec

from bookstore.contracts.faults import Fault, NewFault
from bookstore.contracts.reading import reader
from bookstore.contracts.supplier import CurrentMode, FailureMode, ModeChanged, Normal
from bookstore.monitor.faults.model import SUPPLIER, fault_of, mode_of, no_such_fault
from bookstore.monitor.objection import objection
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer, Upstream, UpstreamError

logger = logging.getLogger(__name__)

FRESH: Final = 10.0
"""Seconds for which what it has told says how it is."""
_PATIENCE: Final = 2.0
"""Seconds that an operator waits for a switch: one that is given up may be done all the same."""
_LONGEST: Final = 65_536
_OK: Final = 200
_encode = msgspec.json.Encoder().encode
_changed = reader(ModeChanged)
_mode = reader(CurrentMode)


class SupplierUnavailable(Problem):
    """Its control port doesn't answer; what was asked for may be done, or not."""

    def __init__(self) -> None:
        super().__init__(503, "supplier-unavailable", "the supplier's control port doesn't answer")


class SupplierSwitch:
    """Switches the supplier's modes, while it is held open with `async with`.

    Args:
        url: Its control port; empty where there is none.
    """

    def __init__(self, url: str) -> None:
        self._upstream = (
            Upstream(url, timeout=_PATIENCE, max_connections=2, max_answer=_LONGEST) if url else None
        )
        self._mine: Fault | None = None
        self._known: tuple[float, CurrentMode] | None = None
        self._turning = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._upstream is not None:
            await self._upstream.aclose()

    @property
    def is_there(self) -> bool:
        """Whether this monitor knows its control port."""
        return self._upstream is not None

    def heard(self, mode: CurrentMode) -> None:
        """It has told how it is."""
        self._known = monotonic(), mode

    def faults(self) -> list[Fault]:
        """How it fails, as far as that is known now; one that others have switched on too."""
        if self._known is None or monotonic() - self._known[0] > FRESH or self._known[1].mode == "normal":
            return []
        mode, mine = self._known[1], self._mine
        if mine is not None and mine.since == mode.since:
            return [mine]
        return [fault_of(mode, SUPPLIER, "")]

    async def look(self) -> None:
        """Know how it is.

        Raises:
            Problem: 503 if it doesn't say.
        """
        if self._upstream is not None:
            self.heard(await self._current())

    async def switch_on(self, wanted: NewFault, by: str, path: str) -> Fault:
        """Let it fail like this, in the place of any other mode.

        Raises:
            Problem: 422 for what it can't do, 503 if it doesn't confirm.
        """
        mode = mode_of(wanted, path)
        async with self._turning:
            changed = await self._turn(mode)
            fault = fault_of(changed, f"{SUPPLIER}-{secrets.token_hex(4)}", by)
            self._mine = fault
        return fault

    async def end(self, fault_id: str) -> None:
        """Let it be well again, if this is what it suffers now: not if somebody else has come in between.

        Raises:
            Problem: 404 if it isn't, 503 if it doesn't confirm.
        """
        async with self._turning:
            self.heard(await self._current())
            if fault_id not in {fault.id for fault in self.faults()}:
                raise no_such_fault()
            await self._turn(Normal())

    async def end_all(self) -> None:
        """Let it be well again, whatever it suffers.

        Raises:
            Problem: 503 if it doesn't confirm.
        """
        if self._upstream is not None:
            async with self._turning:
                await self._turn(Normal())

    async def _turn(self, mode: FailureMode) -> CurrentMode:
        answer = await self._ask("POST", "/set_failure_mode", _encode(mode))
        try:
            changed = _changed(answer.body)
        except ValueError as error:
            raise SupplierUnavailable from error
        self.heard(changed)
        return changed

    async def _current(self) -> CurrentMode:
        answer = await self._ask("GET", "/get_failure_mode", None)
        try:
            return _mode(answer.body)
        except ValueError as error:
            raise SupplierUnavailable from error

    async def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        if self._upstream is None:
            raise Problem(503, "supplier-unavailable", "the supplier's control port is not known here")
        headers = [(b"content-type", b"application/json")] if body else []
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._upstream.request(method, path, headers=headers, body=body)
        except (TimeoutError, UpstreamError) as error:
            logger.warning("the supplier's control port does not answer", extra={"cause": repr(error)})
            raise SupplierUnavailable from error
        if answer.status != _OK:
            raise objection(answer, SupplierUnavailable())
        return answer
