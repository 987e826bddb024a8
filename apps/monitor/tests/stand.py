"""A target that behaves as a test tells it, and patience."""

import asyncio

from bookstore.service.testing.peer import Peer, reset

PATIENCE = 20.0
INTERVAL = 0.2
"""Seconds between two looks of a monitor under test."""
WELL = b'{"status":"healthy","services":{"database":"healthy"}}'


def answer(status=200, body=WELL, length=None):
    """An answer as bytes."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


class Stand(Peer):
    """A service whose answers a test decides on: by path, as bytes, or as what is to happen instead."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        super().__init__()

    async def respond(self, request, writer):
        self.asked.append(request)
        path = request.target.partition("?")[0]
        told = self.answers.get(path, self.answers.get("*", answer()))
        match told:
            case "silence":
                await asyncio.Event().wait()
            case "reset":
                reset(writer)
            case "trickle":
                writer.write(answer(length=3600)[: -len(WELL)])
                while True:
                    writer.write(b" ")
                    await asyncio.sleep(0.05)
            case float():
                await asyncio.sleep(told)
                writer.write(answer())
            case _:
                writer.write(told)
        await writer.drain()
        if isinstance(told, bytes) and b"connection: close" in told.lower():
            raise ConnectionResetError
