"""Sends spans from a thread of its own: nobody who serves a request ever waits for a receiver.

Spans wait in a queue of bounded length. When it is full, because the receiver is away, slow or frozen, new
ones are dropped and counted. It is told once that the receiver fails, and once that it is back. Spans that
wait when the process is killed are lost; one that ends in order has `LEAVE` seconds to bring them away.
"""

import gzip
import http.client
import logging
import random
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from enum import Enum
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from bookstore.service.context import new_span_id, new_trace_id
from bookstore.service.otlp import encode
from bookstore.service.tracing.settings import TracingSettings

logger = logging.getLogger(__name__)

LEAVE: Final = 2.0
"""Seconds that the last spans have when the process ends."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_OK: Final = range(200, 300)
_LATER: Final = frozenset({429, 502, 503, 504})
_MOST_OF_AN_ANSWER: Final = 65_536


class _Sent(Enum):
    YES = "sent"
    NO = "refused"
    """Sending the same again would bring the same."""
    LATER = "later"


class Exporter:
    """Takes encoded spans with `send`, and brings them to the receiver between `start` and `close`."""

    def __init__(self, settings: TracingSettings, sender: tuple[bytes, bytes]) -> None:
        self._settings = settings
        self._sender = sender
        self._waiting: deque[bytes] = deque()
        self._room = settings.queue
        self._awake = threading.Event()
        self._leaving = threading.Event()
        self._until = float("inf")
        self._thread: threading.Thread | None = None
        self._receiver = _Receiver(settings)
        self._failing = ""
        self.sent = 0
        """Spans that the receiver took."""
        self.dropped = 0
        """Spans for which there was no room, or no time at the end."""
        self.refused = 0
        """Spans that the receiver would not have."""

    def send(self, span: bytes) -> None:
        """Take a span; it goes out later, or never."""
        waiting = self._waiting
        count = len(waiting)
        if count >= self._room:
            self.dropped += 1
            return
        waiting.append(span)
        if count == self._settings.batch:
            self._awake.set()

    def turns_away(self) -> bool:
        """Whether there is no room for what begins now; it is counted, and need not be recorded at all."""
        full = len(self._waiting) >= self._room
        self.dropped += full
        return full

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what waits, for `LEAVE` seconds at most; blocks."""
        if self._thread is None:
            return
        self._until = monotonic() + LEAVE
        self._leaving.set()
        self._awake.set()
        self._thread.join(LEAVE)
        self._room = 0
        self._receiver.abort()
        self.dropped += len(self._waiting)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._leaving.is_set():
            self._awake.wait(self._settings.delay)
            self._awake.clear()
            if self._send_all():
                pause = _FIRST_PAUSE
            else:
                wait = max(self._receiver.asked_pause, pause * random.uniform(0.5, 1.0))  # noqa: S311
                self._leaving.wait(min(wait, _LONGEST_PAUSE))
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._send_all()
        self._receiver.abort()

    def _send_all(self) -> bool:
        """Send what waits; False if the receiver can't take it now."""
        while self._waiting:
            left = self._until - monotonic()
            if left <= 0:
                return False
            # They stay in the queue until they are sent: this thread alone takes any out.
            count = min(len(self._waiting), self._settings.batch)
            spans = [self._waiting[place] for place in range(count)]
            came = self._receiver.take(encode.request(self._sender, spans), min(left, self._settings.timeout))
            self._tell(came)
            if came is _Sent.LATER:
                return False
            for _ in spans:
                self._waiting.popleft()
            if came is _Sent.YES:
                self.sent += count
            else:
                self.refused += count
        return True

    def _tell(self, came: _Sent) -> None:
        """Once when it begins to fail, and once when that is over."""
        if came is not _Sent.YES and not self._failing:
            self._failing = self._receiver.said
            logger.warning("traces can't be sent", extra={"cause": self._failing})
        elif came is _Sent.YES and self._failing:
            logger.info("traces are sent again", extra={"dropped": self.dropped, "refused": self.refused})
            self._failing = ""


class _Receiver:
    """The other end, over one connection that is kept."""

    def __init__(self, settings: TracingSettings) -> None:
        url = urlsplit(settings.url)
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port
        self._target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._certificate = settings.certificate
        self._gzip = settings.gzip
        self._headers = {"content-type": "application/x-protobuf", "user-agent": "bookstore"}
        # No trace tells of its own sending: a receiver that records what it is asked leaves this out.
        self._headers["traceparent"] = f"00-{new_trace_id()}-{new_span_id()}-00"
        self._headers |= settings.headers
        if self._gzip:
            self._headers["content-encoding"] = "gzip"
        self._connection: http.client.HTTPConnection | None = None
        self.said = ""
        """Why the last request came to nothing."""
        self.asked_pause = 0.0
        """Seconds that it asked us to wait."""

    def take(self, body: bytes, seconds: float) -> _Sent:
        """Bring it these spans."""
        self.asked_pause = 0.0
        try:
            status = self._post(gzip.compress(body, 1) if self._gzip else body, seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.said = str(error) or type(error).__name__
            self.abort()
            return _Sent.LATER
        if status in _OK:
            return _Sent.YES
        self.said = f"status {status}"
        return _Sent.LATER if status in _LATER else _Sent.NO

    def abort(self) -> None:
        """Close the connection, also under whoever waits for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if isinstance(connection.sock, socket.socket):
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _post(self, body: bytes, seconds: float) -> int:
        fresh = self._connection is None
        connection = self._connection or self._connect(seconds)
        self._connection = connection
        connection.timeout = seconds
        if isinstance(connection.sock, socket.socket):
            connection.sock.settimeout(seconds)
        try:
            return self._exchange(connection, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if fresh:
                raise
        # The receiver had closed the connection while it was idle.
        self.abort()
        self._connection = self._connect(seconds)
        return self._exchange(self._connection, body)

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> int:
        connection.request("POST", self._target, body, self._headers)
        answer = connection.getresponse()
        answer.read(_MOST_OF_AN_ANSWER)
        after = answer.getheader("retry-after") or ""
        self.asked_pause = float(after) if after.isdigit() else 0.0
        if answer.will_close or not answer.isclosed():
            self.abort()
        return answer.status

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        trusted = ssl.create_default_context(cafile=self._certificate or None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=trusted)
