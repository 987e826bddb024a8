"""For tests of services: one on a real socket, an issuer of tokens, and what strangers send."""

from bookstore.service.testing.forgeries import forgeries
from bookstore.service.testing.issuer import Issuer
from bookstore.service.testing.serving import (
    check_problem,
    environment,
    serving,
    started,
    wait_until_ready,
)

__all__ = [
    "Issuer",
    "check_problem",
    "environment",
    "forgeries",
    "serving",
    "started",
    "wait_until_ready",
]
