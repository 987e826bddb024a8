"""Conditions that are held: each is brought about again and again until it is let go of.

A process that is killed comes back, and is killed again; one that is frozen and started anew is frozen again.
Targets are the processes of this very system, by pid and start as its supervisor has them on record, its own
Redis, and its own proxies. There is no way to name anything else.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bookstore.lab.desk.refused import RefusedError
from bookstore.lab.load.wire import BrokenOffError, ask
from bookstore.lab.load.wire import RefusedError as NobodyThere
from bookstore.lab.system.record import Record
from bookstore.stores.redis import redis_command

if TYPE_CHECKING:
    from bookstore.lab.system.folder import StateFolder
    from bookstore.lab.system.record import Row
    from bookstore.stores.process import ProcessId

AWAY = (NobodyThere, BrokenOffError, TimeoutError, OSError)
"""Proxies that are being started again have forgotten everything, and let everything pass."""
NETWORK = "network"


def rows(folder: StateFolder) -> list[Row]:
    """Everything that runs, as the supervisor has it."""
    record = Record.read(folder.record)
    return record.rows if record else []


def row(folder: StateFolder, instance: str) -> Row | None:
    """One of them."""
    return next((each for each in rows(folder) if each.instance == instance), None)


def revive(folder: StateFolder) -> None:
    """Tell the supervisor to start at once whatever isn't there."""
    if (holder := folder.lock.holder()) is not None:
        holder.send(signal.SIGUSR1)


class Hold(Protocol):
    """One condition."""

    async def hold(self) -> None:
        """See to it that it is so; called again and again."""
        ...

    async def let_go(self) -> None:
        """See to it that it isn't so any more."""
        ...


@dataclass
class Killed:
    """An instance is dead: whatever is started in its place is killed too."""

    folder: StateFolder
    instance: str

    async def hold(self) -> None:
        """Kill it."""
        if (found := row(self.folder, self.instance)) is not None and found.process is not None:
            found.process.send_family(signal.SIGKILL)

    async def let_go(self) -> None:
        """Have it started without any further delay."""
        revive(self.folder)


@dataclass
class Terminated:
    """An instance was told to end in good order, and stays ended."""

    folder: StateFolder
    instance: str
    told: ProcessId | None = None

    async def hold(self) -> None:
        """Tell it once; also whoever comes in its place."""
        found = row(self.folder, self.instance)
        if found is not None and found.process is not None and found.process != self.told:
            found.process.send(signal.SIGTERM)
            self.told = found.process

    async def let_go(self) -> None:
        """Have it started again."""
        revive(self.folder)


@dataclass
class Frozen:
    """An instance and its children stand still: connections stay open, nothing answers."""

    folder: StateFolder
    instance: str
    stopped: ProcessId | None = None
    family: list[ProcessId] = field(default_factory=list["ProcessId"])

    async def hold(self) -> None:
        """Stop it; also whoever comes in its place."""
        found = row(self.folder, self.instance)
        if found is not None and found.process is not None and found.process != self.stopped:
            self.family += found.process.send_family(signal.SIGSTOP)
            self.stopped = found.process

    async def let_go(self) -> None:
        """Let all that were stopped go on."""
        for member in self.family:
            member.send(signal.SIGCONT)


@dataclass
class Flushed:
    """Redis forgets everything, again and again."""

    folder: StateFolder

    async def hold(self) -> None:
        """FLUSHALL; one that doesn't answer has nothing to forget."""
        found = row(self.folder, "redis")
        if found is not None and found.process is not None:
            with suppress(OSError):
                await asyncio.to_thread(redis_command, found.url, "FLUSHALL")

    async def let_go(self) -> None:
        """What is forgotten stays so; everybody makes it anew."""


@dataclass
class Cut:
    """A way is closed: open connections end, new ones are refused."""

    folder: StateFolder
    way: str

    async def hold(self) -> None:
        """Close it."""
        await self._set(enabled=False)

    async def let_go(self) -> None:
        """Open it."""
        await self._set(enabled=True)

    async def _set(self, *, enabled: bool) -> None:
        with suppress(*AWAY):
            await ask(proxies(self.folder), "POST", f"/proxies/{self.way}", {"enabled": enabled})


@dataclass
class Spoiled:
    """Both directions of a way suffer a toxic."""

    folder: StateFolder
    way: str
    name: str
    type: str
    attributes: dict[str, int]

    async def hold(self) -> None:
        """Set it, unless it is there."""
        with suppress(*AWAY):
            url = proxies(self.folder)
            there = (await ask(url, "GET", f"/proxies/{self.way}/toxics")).body.decode()
            for stream in ("upstream", "downstream"):
                name = f"{self.name}-{stream}"
                if f'"{name}"' not in there:
                    wish = {
                        "name": name, "type": self.type, "stream": stream, "attributes": self.attributes
                    }  # fmt: skip
                    await ask(url, "POST", f"/proxies/{self.way}/toxics", wish)

    async def let_go(self) -> None:
        """Take it away."""
        with suppress(*AWAY):
            url = proxies(self.folder)
            for stream in ("upstream", "downstream"):
                await ask(url, "DELETE", f"/proxies/{self.way}/toxics/{self.name}-{stream}")


def proxies(folder: StateFolder) -> str:
    """The URL of the proxies.

    Raises:
        RefusedError: the system was started without any.
    """
    if (found := row(folder, NETWORK)) is None:
        raise RefusedError(
            503, "not-proxied", "The system has no proxies: start it with `bookstore up --proxied`."
        )
    return found.url


async def heal(folder: StateFolder) -> None:
    """Let go of whatever a desk that died may have held: safe at any moment, and as often as one likes."""
    for each in rows(folder):
        if each.process is not None:
            # Looking for children takes a while, and only a store has any.
            send = each.process.send_family if each.kind == "store" else each.process.send
            send(signal.SIGCONT)
    if (network := row(folder, NETWORK)) is not None:
        with suppress(*AWAY):
            await ask(network.url, "POST", "/reset")
    revive(folder)
