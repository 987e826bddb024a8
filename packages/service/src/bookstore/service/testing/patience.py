"""Services for tests that must bear a busy machine. A module of its own: not every service has a database."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final
from unittest.mock import patch

from bookstore.service.app import Service
from bookstore.service.batch import Batch
from bookstore.service.database import Database
from bookstore.service.redis_line import RedisLine

_LONG: Final = 20.0
"""Seconds: longer than a machine is away."""
_LIMITS: Final[tuple[tuple[Callable[..., None], tuple[str, ...]], ...]] = (
    (Database.__init__, ("patience", "acquire")),
    (Batch[Any, Any].__init__, ("patience",)),
    (RedisLine.__init__, ("patience",)),
)

_CONNECTIONS: Final = {
    "_POOLED": {"connect_timeout": int(_LONG)},
    # The server ends no statement, and no wait for a lock.
    "_DIRECT": {"connect_timeout": int(_LONG), "options": "-c timezone=UTC"},
}


def patient(create: Callable[[], Service]) -> Callable[[], Service]:
    """The same service, but it waits long for its stores: late isn't away."""

    def create_patient() -> Service:
        with ExitStack() as stack:
            for made, names in _LIMITS:
                stack.enter_context(patch.dict(made.__kwdefaults__, dict.fromkeys(names, _LONG)))
            for kind, how in _CONNECTIONS.items():
                stack.enter_context(patch.dict(f"bookstore.service.database.{kind}", how))
            return create()

    return create_patient
