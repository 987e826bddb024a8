"""Panels and boards of Grafana: as much of its model as is needed, laid out in rows of three."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from bookstore.lab.observe.grafana import PROMETHEUS

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["timeseries", "stat", "state-timeline"]
Unit = Literal["short", "s", "reqps", "ops", "percentunit", "bytes", "none"]

_SOURCE: Final = {"type": "prometheus", "uid": PROMETHEUS}
_WIDE, _ACROSS = 24, 3
_HIGH: Final = 8
RATE: Final = "$__rate_interval"


@dataclass(frozen=True)
class Query:
    """One query; `{{label}}` in the legend is the value of a label."""

    expr: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. `zones` colours the values from each bound on: `((0, "green"), (0.01, "red"))`."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    kind: Kind = "timeseries"
    zones: tuple[tuple[float, str], ...] = ()
    exemplars: bool = False
    words: tuple[tuple[str, str], ...] = ()
    """What a value is called: `(("0", "closed"), ("1", "open"))`."""

    def model(self, number: int) -> dict[str, Any]:
        """As Grafana keeps it, in its place among the others."""
        width = _WIDE // _ACROSS
        row, column = divmod(number, _ACROSS)
        return {
            "id": number + 1,
            "type": self.kind,
            "title": self.title,
            "description": self.says,
            "datasource": _SOURCE,
            "gridPos": {"h": _HIGH, "w": width, "x": column * width, "y": row * _HIGH},
            "fieldConfig": {"defaults": self._field(), "overrides": []},
            "options": self._options(),
            "targets": [
                {
                    "refId": chr(ord("A") + position),
                    "datasource": _SOURCE,
                    "expr": query.expr,
                    "legendFormat": query.legend,
                    "exemplar": self.exemplars,
                    "instant": self.kind == "stat",
                    "range": self.kind != "stat",
                }
                for position, query in enumerate(self.queries)
            ],
        }

    def _field(self) -> dict[str, Any]:
        steps = [{"value": bound or None, "color": color} for bound, color in self.zones]
        field: dict[str, Any] = {"unit": self.unit}
        if self.kind == "timeseries":
            field["min"] = 0
        if steps:
            field["thresholds"] = {"mode": "absolute", "steps": steps}
            field["color"] = {"mode": "thresholds"}
        if self.words:
            options = {value: {"index": at, "text": word} for at, (value, word) in enumerate(self.words)}
            field["mappings"] = [{"type": "value", "options": options}]
        return field

    def _options(self) -> dict[str, Any]:
        if self.kind == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
        if self.kind == "state-timeline":
            return {"showValue": "never", "mergeValues": True}
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board. `picks` are the lists at its top: a variable's name and the label that it takes on."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    picks: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = field(default=("bookstore",))

    def queries(self) -> Iterator[str]:
        """All of its queries."""
        for panel in self.panels:
            for query in panel.queries:
                yield query.expr

    def json(self) -> str:
        """The board as a file, a line for each panel: so one can see what a change changes."""
        frame = {
            "uid": self.uid,
            "title": self.title,
            "tags": [*self.tags],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": {"from": "now-15m", "to": "now"},
            "templating": {"list": [self._pick(name, label) for name, label in self.picks]},
            "links": [
                {"type": "dashboards", "title": "Bookstore", "tags": ["bookstore"], "asDropdown": True}
            ],
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in frame.items()]
        panels = ",\n".join(f"    {json.dumps(panel.model(at))}" for at, panel in enumerate(self.panels))
        return "\n".join(["{", *lines, '  "panels": [', panels, "  ]", "}", ""])

    def _pick(self, name: str, label: str) -> dict[str, Any]:
        query = f"label_values({label})"
        return {
            "name": name,
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "includeAll": True,
            "allValue": ".+",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "refresh": 2,
            "sort": 1,
        }
