"""What a run has told, as steps for people to watch. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bookstore.contracts.lab import RunStep
from bookstore.lab.live import Began, Ended, Entered, Said, Seen, starts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bookstore.contracts.lab import State, StepVerdict
    from bookstore.lab.live import Event

MOST_TEXT = 600
BROKEN_OFF: dict[State, StepVerdict] = {"interrupted": "unknown", "error": "bad"}
"""What becomes of a phase in whose middle it ended."""


class Story:
    """Steps so far. A phase is a running step until the next one begins, or one of its name was seen."""

    def __init__(self) -> None:
        self.steps: list[RunStep] = []
        self.phase = ""
        self.state: State = "running"
        self.report: str | None = None

    def hear(self, events: Iterable[Event]) -> None:
        """Go on with what was told since."""
        for event in events:
            match event:
                case Began():
                    pass
                case Entered():
                    self._settle("ok")
                    self.phase = event.phase
                    self.steps.append(
                        RunStep(
                            at=event.at,
                            title=event.phase,
                            expected=event.expected,
                            seen="",
                            verdict="running",
                        )
                    )
                case Said():
                    self._say(event.text)
                case Seen():
                    self._see(event)
                case Ended():
                    self.state, self.report = event.state, event.report or None
                    self._settle(BROKEN_OFF.get(event.state, "ok"))

    def break_off(self, state: State, reason: str) -> None:
        """It ended without a word of its own."""
        self.state = state
        if not self.steps:
            self.hear([starts()])
        if reason:
            self._say(reason)
        self._settle(BROKEN_OFF.get(state, "unknown"))

    def _see(self, event: Seen) -> None:
        self.steps = [s for s in self.steps if (s.verdict, s.title) != ("running", event.title)]
        self.steps.append(
            RunStep(
                at=event.at,
                title=event.title,
                expected=event.expected,
                seen=event.seen[:MOST_TEXT],
                verdict=event.verdict,
            )
        )

    def _say(self, text: str) -> None:
        """What happens in the course of a phase stands with it."""
        for number in range(len(self.steps) - 1, -1, -1):
            step = self.steps[number]
            if step.verdict == "running":
                seen = f"{step.seen}; {text}" if step.seen else text
                self.steps[number] = replace(step, seen=seen[-MOST_TEXT:])
                return

    def _settle(self, verdict: StepVerdict) -> None:
        self.steps = [
            replace(step, verdict=verdict) if step.verdict == "running" else step for step in self.steps
        ]
