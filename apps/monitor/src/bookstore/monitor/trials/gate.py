"""One request through the gateway, and what is kept of its answer. Whatever comes back, it is bounded."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import msgspec

from bookstore.contracts.console import TriedAnswer
from bookstore.service.problem import Problem
from bookstore.service.upstream import Header, StreamedAnswer, Upstream, UpstreamError

PATIENCE: Final = 3.0
"""Seconds for one request; the gateway answers within two, whatever fails."""
SHOWN: Final = 2000
"""Characters of a body that are shown."""
AT_ONCE: Final = 20

_LONGEST: Final = 65_536
_LONGEST_HEADER: Final = 128


class NoGateway(Problem):
    """There is nobody to send requests to."""

    def __init__(self) -> None:
        super().__init__(503, "no-gateway", "no gateway is known here, neither by GATEWAY_URL nor by TARGETS")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a request: what is shown of it, and the first bytes of the body to read on in."""

    shown: TriedAnswer
    body: bytes

    @property
    def status(self) -> int | None:
        """The answer's status; None if there was none."""
        return self.shown.status


class Gate:
    """The way in for customers.

    Args:
        url: The gateway; empty where there is none.
    """

    def __init__(self, url: str) -> None:
        # No context: each request is the beginning of a trace of its own.
        self._upstream = (
            Upstream(url, timeout=PATIENCE, max_connections=AT_ONCE + 4, context=lambda: ()) if url else None
        )

    async def aclose(self) -> None:
        """Close connections."""
        if self._upstream is not None:
            await self._upstream.aclose()

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: tuple[Header, ...] = ()
    ) -> Heard:
        """Send a request; that there is no answer is an answer too.

        Raises:
            NoGateway: if there is no gateway.
        """
        if self._upstream is None:
            raise NoGateway
        sent = None if body is None else msgspec.json.encode(body)
        given = [*headers, *([(b"content-type", b"application/json")] if sent else [])]
        began = perf_counter()
        status, trace_id, request_id, taken = None, "", "", b""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._upstream.stream(method, path, headers=given, body=sent) as answer,
            ):
                status = answer.status
                trace_id, request_id = _named(answer, b"x-trace-id"), _named(answer, b"x-request-id")
                taken = await _first(answer)
        except (TimeoutError, UpstreamError):
            pass  # as far as it came
        shown = TriedAnswer(
            method=method,
            path=path,
            status=status,
            ms=round((perf_counter() - began) * 1000, 3),
            trace_id=trace_id,
            request_id=request_id,
            body=taken.decode("utf-8", "replace")[:SHOWN],
        )
        return Heard(shown, taken)


async def _first(answer: StreamedAnswer) -> bytes:
    """The first bytes of a body; the rest, however long, isn't waited for."""
    taken = bytearray()
    async for chunk in answer:
        taken += chunk
        if len(taken) >= _LONGEST:
            break
    return bytes(taken[:_LONGEST])


def _named(answer: StreamedAnswer, name: bytes) -> str:
    return (answer.header(name) or b"").decode("latin-1")[:_LONGEST_HEADER]
