"""Where the keys of one consumer are: which server of a Redis installation to talk to, now.

Everybody here keeps to one slot: a key alone, or keys that share a tag in braces. So whatever stands behind
REDIS_URL, a consumer talks to one server at a time, and what it makes of an outage, a restart or a run of
that server holds as it does for a Redis that stands alone. In a cluster that server is whoever owns the
slot; with Sentinels it is the master.

All who may know where the server is are asked together, so that one that is frozen holds up nobody, and what
most of them say holds. The answer is kept until somebody has lost the server.
"""

import asyncio
from binascii import crc_hqx
from collections import Counter
from typing import Any, Final

from bookstore.service.redis_session import RedisAway, Session
from bookstore.service.redis_url import Server, read

_SLOTS: Final = 16384
_MOST_MET: Final = 12
"""Nodes of a cluster that are asked beside those of the URL: enough to find one that lives."""


class Home:
    """The server that has these keys.

    Args:
        url: REDIS_URL.
        keys: a key, or in braces the tag that all keys have.
        patience: seconds that finding it may take.
    """

    def __init__(self, url: str, keys: str, *, patience: float = 0.25) -> None:
        self.place = read(url)
        self.moves = 0
        """How often it turned out to be another server than before."""
        self.as_guest = False
        """Whether the slot is on its way to the server, so that each command has to ask to be let in."""
        self._alone = "{" not in keys
        self._slot = slot_of(keys)
        self._patience = patience
        self._known = self.place.seeds[0] if self.place.kind == "server" else None
        self._before: Server | None = None
        self._met: list[Server] = []
        self._finding: asyncio.Task[Server] | None = None

    async def find(self) -> Server:
        """The server.

        Raises:
            RedisAway: if nobody tells, in time.
        """
        if self._known is not None:
            return self._known
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._found())
            # Whoever waits may have gone; who comes next finds what was found.
            self._finding.add_done_callback(lambda finding: finding.cancelled() or finding.exception())
        return await asyncio.shield(self._finding)

    def lost(self, server: Server) -> None:
        """This server is away, or says that it isn't the one: ask anew where it is."""
        if self.place.kind != "server" and server == self._known:
            self._known = None

    def moving(self, server: Server) -> None:
        """The slot is on its way to `server`: what is no longer where it was is there.

        Only who has one key may follow it. Of several, some are still where they were.
        """
        if self._alone:
            self._settle(server, as_guest=True)

    def _settle(self, server: Server, *, as_guest: bool = False) -> Server:
        self.moves += self._before not in (None, server)
        self._before = self._known = server
        self.as_guest = as_guest
        return server

    async def _found(self) -> Server:
        asked = [asyncio.create_task(self._told(each)) for each in {*self.place.seeds, *self._met}]
        votes: Counter[Server] = Counter()
        try:
            for answer in asyncio.as_completed(asked, timeout=self._patience):
                try:
                    server = await answer
                except (OSError, RedisAway):  # an OSError too: that the time is over
                    continue
                votes[server] += 1
                if votes[server] * 2 > len(asked):
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
        if not votes:
            raise RedisAway("nobody tells where the server is")
        return self._settle(votes.most_common(1)[0][0])

    async def _told(self, seed: Server) -> Server:
        """Where the server is, as `seed` tells."""
        place = self.place
        session = Session(self._patience)
        try:
            if place.kind == "cluster":
                await session.reach(seed, place.login, place.tls)
                return self._owner(await session.ask("CLUSTER", "SLOTS"), seed)
            await session.reach(seed, place.sentinel_login, place.tls)
            found = await session.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", place.service)
        finally:
            session.end("asked")
        if not found:
            raise RedisAway("a Sentinel doesn't know the service")
        return Server(found[0].decode(), int(found[1]))

    def _owner(self, ranges: list[list[Any]], seed: Server) -> Server:
        # A node that isn't told its own name is reached as it was asked.
        owners = [
            (first, last, Server((name or b"").decode() or seed.host, port))
            for first, last, (name, port, *_), *_ in ranges
        ]
        self._met = list(dict.fromkeys([*(owner for _, _, owner in owners), *self._met]))[:_MOST_MET]
        for first, last, owner in owners:
            if first <= self._slot <= last:
                return owner
        raise RedisAway("nobody has the slot")


def slot_of(key: str) -> int:
    """The slot of a key: of what its first braces hold, if they hold anything."""
    _, brace, behind = key.partition("{")
    tag, end, _ = behind.partition("}")
    return crc_hqx((tag if brace and end and tag else key).encode(), 0) % _SLOTS
