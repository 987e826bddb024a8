"""For tests of services: one that runs, those whom it calls, an issuer of tokens, and what strangers send."""

from bookstore.service.testing.forgeries import forgeries
from bookstore.service.testing.issuer import Issuer
from bookstore.service.testing.peer import Loopback, Peer, Request, reset
from bookstore.service.testing.problems import check_problem
from bookstore.service.testing.process import environment, started, wait_until_ready
from bookstore.service.testing.serving import serving
from bookstore.service.testing.waiting import eventually, soon
from bookstore.service.testing.wire import Wire

__all__ = [
    "Issuer",
    "Loopback",
    "Peer",
    "Request",
    "Wire",
    "check_problem",
    "environment",
    "eventually",
    "forgeries",
    "reset",
    "serving",
    "soon",
    "started",
    "wait_until_ready",
]
