"""Logs: one JSON line an event on standard output, with the ids of the request that it belongs to."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from bookstore.service.context import current
from bookstore.service.scrub import scrubbed

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object; what was passed as `extra` stands beside the message."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__()
        self._service = service
        self._instance = instance

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "service": self._service,
            "instance": self._instance,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = current.get()
        if context is not None:
            line["request_id"] = context.request_id
            if context.trace_id:
                line["trace_id"] = context.trace_id
                line["span_id"] = context.span_id
        line.update((name, value) for name, value in record.__dict__.items() if name not in _PLAIN)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return scrubbed(_encode(line).decode())


def configure(service: str, instance: str, level: str) -> None:
    """Send every log of the process through one JSON handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service, instance))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for noisy in ("psycopg", "psycopg.pool", "_granian", "granian"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
