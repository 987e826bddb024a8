"""The far end of one raw connection, on a test's own loop, for what no well-behaved server would send."""

import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter


class Wire:
    """A connection that was taken; a test's own kind says what a request is."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self, *pieces: bytes) -> None:
        """Send these pieces, each by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the other side has closed; gives what it still sent."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def reset(self) -> None:
        """End it so that the other side sees a reset."""
        reset_on_close(self.writer)
        self.writer.transport.abort()


def reset_on_close(writer: StreamWriter) -> None:
    """Whenever this connection is closed from now on, the other side sees a reset."""
    option = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
