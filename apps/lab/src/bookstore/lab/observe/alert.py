"""An alert, and the story by which it is proved: when it stays quiet, when it fires, when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


RUNBOOK: Final = "docs/operations/alerts.md"
"""The page that tells what each alert means and what to do, by its place in the repository."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """Series in the notation of promtool's tests, and three moments.

    Attributes:
        series: each series and its values.
        quiet: moments at which nothing is told yet.
        fires: the moment at which it is.
        over: the moment at which it isn't any more.
        labels: of the alert, beside its own.
        interval: between two values of a series.
    """

    series: Mapping[str, str]
    quiet: tuple[str, ...]
    fires: str
    over: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    interval: str = "1m"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert. `{name}` in its texts is the value of a label; its `wait` is how long it must hold."""

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    description: str
    story: Story
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def runbook(self) -> str:
        """Where on that page it is."""
        return f"{RUNBOOK}#{self.name.lower()}"

    def rule(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                name: text.replace("{", "{{ $labels.").replace("}", " }}")
                for name, text in self._texts().items()
            },
        }

    def test(self) -> dict[str, Any]:
        """As promtool proves it."""
        told = {
            "exp_labels": {"severity": self.severity, **self.labels, **self.story.labels},
            "exp_annotations": {
                name: text.format_map(self.story.labels) for name, text in self._texts().items()
            },
        }
        moments: dict[str, list[Any]] = {moment: [] for moment in self.story.quiet}
        moments |= {self.story.fires: [told], self.story.over: []}
        return {
            "name": f"{self.name} ({self.severity})",
            "interval": self.story.interval,
            "input_series": [
                {"series": series, "values": values} for series, values in self.story.series.items()
            ],
            "alert_rule_test": [
                {"eval_time": moment, "alertname": self.name, "exp_alerts": expected}
                for moment, expected in moments.items()
            ],
        }

    def _texts(self) -> dict[str, str]:
        return {"summary": self.summary, "description": self.description, "runbook_url": self.runbook}
