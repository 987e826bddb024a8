"""What an answer, or the lack of one, says of a target. Rules only: nothing here waits or asks.

`DOWN`: nobody takes the connection. `UNHEALTHY`: it is taken, and what comes is an error, a part of an
answer, or nothing at all. `DEGRADED`: a good answer that is late, or one that names something missing.
`HEALTHY`: a good answer in time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from bookstore.contracts.health import Health, QueueHealth
from bookstore.contracts.monitor import ServiceHealth, Wellbeing
from bookstore.contracts.reading import reader

STATES: Final[tuple[Wellbeing, ...]] = ("HEALTHY", "DEGRADED", "UNHEALTHY", "DOWN")
"""From the best to the worst."""

_OK = 200
_MOST = 20
_decode = reader(Health)


class Judgement(NamedTuple):
    """What is thought of a target after one look."""

    status: Wellbeing
    detail: str = ""
    queue: QueueHealth | None = None
    needs: tuple[str, ...] = ()
    """What it says that it needs, by the names that it has for it."""


class Finding(NamedTuple):
    """A judgement, when it was reached, and how long the answer took, or has been waited for."""

    judgement: Judgement
    at: datetime
    seconds: float | None


UNREACHABLE: Final = Judgement("DOWN", "nobody takes the connection")
SILENT: Final = Judgement("UNHEALTHY", "takes the connection, and does not answer")
BROKEN: Final = Judgement("UNHEALTHY", "the answer breaks off, or is none")
LATE: Final = Judgement("DEGRADED", "has not answered yet, and is late")
ALIVE_BUT_LATE: Final = Judgement("DEGRADED", "does not say how it is in time, but answers other requests")


def judge_health(status: int, body: bytes) -> Judgement:
    """What /health says. A stranger's words are never repeated: only names that have the form of one."""
    try:
        health = _decode(body)
    except (msgspec.DecodeError, ValueError):
        return BROKEN if status == _OK else Judgement("UNHEALTHY", f"answers with status {status}")
    queue = health.queue if isinstance(health.queue, QueueHealth) else None
    missing = sorted(name for name, how in health.services.items() if how == "unhealthy" and _is_name(name))
    needs = tuple(sorted(name for name in health.services if _is_name(name))[:_MOST])
    lacks = f"lacks {', '.join(missing[:10])}" if missing else ""
    if status != _OK or health.status in ("unhealthy", "draining"):
        return Judgement("UNHEALTHY", lacks or f"answers with status {status}", queue, needs)
    if health.status == "degraded":
        return Judgement("DEGRADED", lacks or "says that it is degraded", queue, needs)
    return Judgement("HEALTHY", "", queue, needs)


def judge_group(found: Sequence[tuple[str, Judgement]]) -> Judgement:
    """A store of several servers, by how each is: those that are left may do, but not all is well."""
    ill = [(name, each) for name, each in found if each.status != "HEALTHY"]
    if not ill:
        return Judgement("HEALTHY")
    detail = "; ".join(f"{name}: {each.detail}" for name, each in ill)
    if len(ill) < len(found):
        return Judgement("DEGRADED", detail)
    best = min((each for _, each in ill), key=lambda each: STATES.index(each.status))
    return best._replace(detail=detail)


def in_time(judgement: Judgement, seconds: float, slow: float) -> Judgement:
    """The same, but late if it took longer than `slow` seconds."""
    if judgement.status == "HEALTHY" and seconds > slow:
        return judgement._replace(status="DEGRADED", detail=f"took longer than {slow:g} s")
    return judgement


def together(findings: Sequence[tuple[str, Finding]]) -> ServiceHealth:
    """A service, by how its instances are: as bad as all of them, and degraded where only some are ill."""
    worst = max(findings, key=_badness)
    best = min(findings, key=_badness)
    state = worst[1].judgement.status
    if state != best[1].judgement.status:
        works = best[1].judgement.status in ("HEALTHY", "DEGRADED")
        state = "DEGRADED" if works else "UNHEALTHY"
    ill = [(name, found.judgement) for name, found in findings if found.judgement.status != "HEALTHY"]
    if len(findings) == 1:
        detail = worst[1].judgement.detail
    else:
        detail = "; ".join(f"{name} is {found.status}: {found.detail}" for name, found in ill)
    seconds = [found.seconds for _, found in findings if found.seconds is not None]
    return ServiceHealth(
        status=state,
        response_time_ms=round(max(seconds) * 1000, 3) if seconds else None,
        checked_at=min(found.at for _, found in findings),
        detail=detail,
    )


def _badness(finding: tuple[str, Finding]) -> int:
    return STATES.index(finding[1].judgement.status)


def _is_name(text: str) -> bool:
    return text.replace("-", "").replace("_", "").isalnum() and text.isascii() and len(text) <= 64  # noqa: PLR2004
