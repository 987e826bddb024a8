"""The door: the port that fails. It can be shut, so that connections are refused, and opened again."""

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

from bookstore.service.serve import unavailable
from bookstore.supplier.connection import Connection

if TYPE_CHECKING:
    from bookstore.supplier.exchange import App

logger = logging.getLogger(__name__)

BACKLOG = 1024


class Door:
    """A listening socket and the connections behind it; `app` is what answers them."""

    def __init__(self, host: str, port: int) -> None:
        self.app: App
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self.is_open = False
        """Whether connections are taken."""
        self.connections: set[Connection] = set()

    async def open(self) -> None:
        """Listen, unless that is so already.

        Raises:
            PortUnavailable: if the port can't be had.
        """
        if self.is_open:
            return
        listening = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._host, self._port))
            loop = asyncio.get_running_loop()
            self.is_open = True
            self._server = await loop.create_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        except OSError as error:
            self.is_open = False
            listening.close()
            raise unavailable("PORT", self._host, self._port, error) from error
        logger.info("the door is open", extra={"host": self._host, "port": self._port})

    def shut(self) -> None:
        """Refuse connections from here on, and close those that are open."""
        self._stop_listening()
        for connection in [*self.connections]:
            connection.cut()

    async def leave(self, patience: float) -> None:
        """Refuse connections from here on; what is under way has `patience` seconds to end."""
        self._stop_listening()
        until = asyncio.get_running_loop().time() + patience
        for connection in [*self.connections]:
            connection.close_after_answer()
        while self.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.01)
        for connection in [*self.connections]:
            connection.cut()

    def _stop_listening(self) -> None:
        self.is_open = False
        if self._server is not None:
            self._server.close()
            self._server = None
