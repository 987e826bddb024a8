"""How an instance feels, asked from outside."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bookstore.stores.ports import LOOPBACK
from bookstore.stores.postgres import postgres_answers
from bookstore.stores.redis import redis_answers

if TYPE_CHECKING:
    from bookstore.lab.system.record import Row

Health = Literal["starting", "healthy", "degraded", "unhealthy", "down"]
POSTGRES_PORT = 5432
OK = 200
SERVER_ERROR = 500
_SILENCE = (OSError, http.client.HTTPException, ValueError, AttributeError)
"""What is raised where nothing comes, or nothing that is an answer."""


def probe(kind: str, url: str, timeout: float = 1.0) -> Health:
    """Ask now: `healthy` or `degraded` if it says so; any other answer, and none, is `unhealthy`.

    An app that refuses the connection is `down`, though its process may well be there.
    """
    parts = urlsplit(url)
    if kind == "tool":
        return _look_at(parts.hostname or LOOPBACK, parts.port or 0, timeout)
    if kind == "store":
        if parts.scheme.startswith("redis"):
            answers = redis_answers(url, timeout)
        else:
            answers = postgres_answers(parts.hostname or LOOPBACK, parts.port or POSTGRES_PORT, timeout)
        return "healthy" if answers else "unhealthy"
    try:
        code, status = _said(url, "/health", timeout)
    except ConnectionRefusedError:
        return "down"
    except _SILENCE:
        return "unhealthy"
    if code != OK:
        return "unhealthy"
    return "degraded" if status == "degraded" else "healthy"


def is_leaving(row: Row, timeout: float = 1.0) -> bool:
    """Whether an app that was well takes nothing new any more: it was told to end, and is about to."""
    if row.kind != "app":
        return False
    try:
        return _said(row.url, "/health/ready", timeout)[1] == "draining"
    except ConnectionRefusedError:
        return True
    except _SILENCE:
        return False


def _said(url: str, path: str, timeout: float) -> tuple[int, str]:
    """The code and the status that an app answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, str(json.loads(answer.read()).get("status"))
    finally:
        connection.close()


def _look_at(host: str, port: int, timeout: float) -> Health:
    """Somebody else's program: it is well if it serves pages, whatever is on them."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        return "healthy" if connection.getresponse().status < SERVER_ERROR else "unhealthy"
    except ConnectionRefusedError:
        return "down"
    except (OSError, http.client.HTTPException):
        return "unhealthy"
    finally:
        connection.close()


def health(row: Row, timeout: float = 1.0) -> Health:
    """The truth about a row: is its process there, and how does it feel?"""
    process = row.process
    if process is not None and not process.alive:
        return "down"
    if process is None and row.note != ELSEWHERE:
        return "down"
    felt = probe(row.kind, row.url, timeout)
    if process is None:
        # A store that others run: silence is all we know of it.
        return "healthy" if felt == "healthy" else "down"
    if felt in ("unhealthy", "down") and not row.ready:
        return "starting"
    return felt


ELSEWHERE = "runs elsewhere"
