"""Faults that are switched on for a while: held until their time is over, and let go of whatever happens.

What is switched on is written down before it is done, and struck out after it was let go of. If the desk
dies in between, the next one heals everything before it does anything else: what wasn't done can be taken
back as well. `bookstore down` wakes all processes, and ends what is held together with them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from bookstore.contracts.faults import Fault, NewDeskFault, Parameters, PossibleFault
from bookstore.lab.desk.holds import heal, rows
from bookstore.lab.desk.possible import chosen, offers
from bookstore.lab.desk.refused import RefusedError
from bookstore.stores.private import make_private_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from bookstore.lab.desk.holds import Hold
    from bookstore.lab.system.folder import StateFolder

HOLD_SECONDS = 0.5


@dataclass(frozen=True)
class Switched:
    """A fault that is on, how it is held, and until when on the clock that nobody moves."""

    fault: Fault
    hold: Hold
    until: float


class Faults:
    """All that are on."""

    def __init__(self, folder: StateFolder, log: Callable[[str], None]) -> None:
        self._folder = folder
        self._journal = folder.desk / "faults.json"
        self._log = log
        self._on: dict[str, Switched] = {}
        # One at a time: nothing is held again that is just being let go of.
        self._lock = asyncio.Lock()
        make_private_folder(folder.desk)

    @property
    def on(self) -> list[Fault]:
        """Those that are on, the oldest first."""
        return [each.fault for each in self._on.values()]

    def possible(self) -> list[PossibleFault]:
        """Those that could be."""
        return [offer.fault for offer in offers(rows(self._folder))]

    async def heal(self) -> None:
        """Take back what an earlier desk has left, if it has left anything."""
        if self._journal.exists():
            await heal(self._folder)
            self._journal.unlink(missing_ok=True)
            self._log("what an earlier desk had switched on was taken back")

    async def switch_on(self, wish: NewDeskFault) -> Fault:
        """Switch one on.

        Raises:
            RefusedError: it can't be, or is already.
        """
        offer, parameters = chosen(rows(self._folder), wish)
        async with self._lock:
            if any(_same(each.fault, wish, parameters) for each in self._on.values()):
                raise RefusedError(409, "already-on", "This fault is on already; it can be ended first.")
            now, identity = datetime.now(UTC), secrets.token_hex(6)
            fault = Fault(
                id=identity,
                service=wish.service,
                kind=wish.kind,
                mode=wish.mode,
                parameters=parameters,
                since=now,
                ends_at=now + timedelta(seconds=wish.seconds),
                by=wish.by,
            )
            hold = offer.make(self._folder, wish.service, parameters, identity)
            self._on[identity] = Switched(fault, hold, time.monotonic() + wish.seconds)
            self._write()
            await hold.hold()
        self._log(f"{wish.kind} {wish.mode} of {wish.service} for {wish.seconds:g} s")
        return fault

    async def end(self, identity: str) -> None:
        """End one before its time.

        Raises:
            RefusedError: it isn't on.
        """
        async with self._lock:
            if identity not in self._on:
                raise RefusedError(404, "no-such-fault", f"There is no fault {identity!r} any more.")
            await self._let_go(identity)

    async def end_all(self) -> None:
        """End all of them."""
        async with self._lock:
            for identity in list(self._on):
                await self._let_go(identity)

    async def keep(self) -> None:
        """Hold what is on, and end what is over, for ever."""
        while True:
            async with self._lock:
                for identity, each in list(self._on.items()):
                    try:
                        await (self._let_go(identity) if time.monotonic() >= each.until else each.hold.hold())
                    except Exception as error:  # noqa: BLE001 - the others have to be held and ended too
                        self._log(f"fault {identity}: {type(error).__name__}: {error}")
            now = time.monotonic()
            pause = min([HOLD_SECONDS, *(each.until - now for each in self._on.values())])
            await asyncio.sleep(max(pause, 0.0))

    async def _let_go(self, identity: str) -> None:
        each = self._on[identity]
        await each.hold.let_go()
        del self._on[identity]
        self._write()
        self._log(f"{each.fault.kind} {each.fault.mode} of {each.fault.service} is over")

    def _write(self) -> None:
        if self._on:
            write_private(self._journal, msgspec.json.encode(self.on).decode())
        else:
            self._journal.unlink(missing_ok=True)


def _same(fault: Fault, wish: NewDeskFault, parameters: Parameters) -> bool:
    """Whether two are about the same thing; how strong they are makes no difference."""
    words = ("instance", "to")
    ours, theirs = ([each.get(word) for word in words] for each in (fault.parameters, parameters))
    return (fault.service, fault.kind, fault.mode, ours) == (wish.service, wish.kind, wish.mode, theirs)
