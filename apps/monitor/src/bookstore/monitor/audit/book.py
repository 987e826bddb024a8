"""The audit: a line in the log for each switch, and the last thousand in memory.

The line is written when it is known what came of it. If the monitor dies in between, the switch may have been
done without a line here; the service that was switched has its own.
"""

import logging
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeAlias

from bookstore.contracts.console import Audit, AuditEntry
from bookstore.contracts.faults import FaultValue
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

Parameters: TypeAlias = Mapping[str, FaultValue | None]

KEPT: Final = 1000
_LONGEST: Final = 200
_NONE: Final[Parameters] = MappingProxyType({})


@dataclass
class Actor:
    """Who does something; it may become known only while it is done."""

    who: str = ""
    user_id: int | None = None


class AuditBook:
    """Writes down what people switch."""

    def __init__(self) -> None:
        self._entries: deque[AuditEntry] = deque(maxlen=KEPT)

    def show(self, limit: int) -> Audit:
        """The last entries, the newest first."""
        return Audit(data=[entry for entry, _ in zip(reversed(self._entries), range(limit), strict=False)])

    @contextmanager
    def switching(
        self, actor: Actor, action: str, target: str = "", parameters: Parameters = _NONE
    ) -> Generator[None]:
        """To be held round what somebody does."""
        outcome = "given-up"
        try:
            yield
            outcome = "done"
        except Problem as problem:
            outcome = problem.slug
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._note(actor, action, target, parameters, outcome)

    def _note(self, actor: Actor, action: str, target: str, parameters: Parameters, outcome: str) -> None:
        entry = AuditEntry(
            at=datetime.now(UTC),
            who=actor.who[:_LONGEST],
            action=action,
            target=target[:_LONGEST],
            parameters={
                name: value[:_LONGEST] if isinstance(value, str) else value
                for name, value in parameters.items()
            },
            outcome=outcome,
        )
        self._entries.append(entry)
        logger.info(
            "switched",
            extra={
                "user_id": actor.user_id,  # an address is for nobody who reads logs
                "action": action,
                "target": entry.target,
                "parameters": entry.parameters,
                "outcome": outcome,
            },
        )
