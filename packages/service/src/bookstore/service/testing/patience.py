"""Services for tests that must bear a busy machine. A module of its own: not every service has a database."""

from collections.abc import Callable
from unittest.mock import patch

from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.redis_line import RedisLine


def patient(create: Callable[[], Service]) -> Callable[[], Service]:
    """The same service, but it waits long for PostgreSQL's connections and Redis' answers: late, not away."""

    def create_patient() -> Service:
        with (
            patch.dict(Database.__init__.__kwdefaults__ or {}, acquire=20.0),
            patch.dict(RedisLine.__init__.__kwdefaults__ or {}, patience=20.0),
        ):
            return create()

    return create_patient
