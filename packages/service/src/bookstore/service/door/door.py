"""The door: a port that can be shut, so that connections are refused, and opened again."""

import asyncio
import logging
import socket
from collections import Counter
from typing import TYPE_CHECKING, cast

from bookstore.service.door.connection import Connection
from bookstore.service.port import family_of, unavailable

if TYPE_CHECKING:
    from bookstore.service.door.exchange import App
    from bookstore.service.door.express import Express
    from bookstore.service.door.refusal import Refusal

logger = logging.getLogger(__name__)

BACKLOG = 1024
_ROUND = 0.5
"""Seconds from one look at who holds a place for nothing to the next."""


class Door:
    """A listening socket and the connections behind it; `app` is what answers them.

    An `express` is offered plain requests first.

    Args:
        header_timeout: Seconds in which a request's head has to be there, and for which a connection may be
            idle between two requests; None for as long as anybody likes.
        traced: Whether what is refused here gets the id of a trace, as all that the app answers.
    """

    def __init__(
        self, host: str, port: int, *, setting: str, header_timeout: float | None, traced: bool = True
    ) -> None:
        self.app: App
        self.express: Express | None = None
        self.traced = traced
        self._host = host
        self._port = port
        self._setting = setting
        self._header_timeout = header_timeout
        self._server: asyncio.Server | None = None
        self._rounds: asyncio.TimerHandle | None = None
        self._left = asyncio.Event()
        self.is_open = False
        """Whether connections are taken."""
        self.connections: set[Connection] = set()
        self.refused: Counter[int] = Counter()
        """How often what was answered for the app, by status."""

    async def open(self) -> None:
        """Listen, unless that is so already.

        Raises:
            PortUnavailable: if the port can't be had.
        """
        if self.is_open:
            return
        listening = socket.socket(family_of(self._host))
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._host, self._port))
            loop = asyncio.get_running_loop()
            self.is_open = True
            self._server = await loop.create_server(
                lambda: cast("asyncio.Protocol", Connection(self)), sock=listening, backlog=BACKLOG
            )
        except OSError as error:
            self.is_open = False
            listening.close()
            raise unavailable(self._setting, self._host, self._port, error) from error
        if self._header_timeout is not None:
            self._look_round(loop, self._header_timeout)
        logger.info("the door is open", extra={"host": self._host, "port": self._port})

    def shut(self) -> None:
        """Refuse connections from here on, and close those that are open."""
        self._stop_listening()
        for connection in [*self.connections]:
            connection.cut()

    async def leave(self, patience: float | None) -> None:
        """Refuse connections from here on; what is under way has `patience` seconds to end."""
        self._stop_listening()
        for connection in [*self.connections]:
            connection.close_after_answer()
        if self.connections:
            self._left.clear()
            await asyncio.wait({asyncio.ensure_future(self._left.wait())}, timeout=patience)
        for connection in [*self.connections]:
            connection.cut()
        if self._rounds is not None:
            self._rounds.cancel()

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._left.set()

    def refuse(self, refusal: "Refusal") -> bytes:
        """What is answered for the app, whose log of requests knows nothing of this one."""
        request = refusal.request(traced=self.traced)
        told = {"status": refusal.status, "cause": refusal.detail, "request_id": request.request_id}
        logger.info("a request was refused", extra=told | {"trace_id": request.trace_id})
        self.refused[refusal.status] += 1
        return refusal.written(request)

    def _stop_listening(self) -> None:
        self.is_open = False
        if self._server is not None:
            self._server.close()
            self._server = None

    def _look_round(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        """One timer for all connections: one for each would cost more than what it looks after."""
        now = loop.time()
        for connection in [*self.connections]:
            connection.look(now, patience)
        self._rounds = loop.call_later(_ROUND, self._look_round, loop, patience)
