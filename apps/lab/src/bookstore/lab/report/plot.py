"""Plots as SVG, made of nothing but text: latency over time with the fault's window, and states over time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bookstore.lab.load.history import Request

WIDTH, HEIGHT = 920, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 34
FLOOR_MS = 0.5
LANE = 18
COLOURS = {"ok": "#2f7d5b", "refused": "#c9781f", "unknown": "#b3261e"}
STATES = {
    "healthy": "#2f7d5b",
    "degraded": "#d9a514",
    "unhealthy": "#c9781f",
    "down": "#b3261e",
    "starting": "#7a7f87",
}
MOST_POINTS = 4000
MOST_TICKS = 12
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 3600)
SECOND = 1000
"""In milliseconds."""


@dataclass(frozen=True)
class Window:
    """A stretch of time that is shaded, such as the one of the fault."""

    start: float
    end: float
    label: str


@dataclass
class _Axis:
    """Seconds to pixels."""

    start: float
    end: float
    marks: list[str] = field(default_factory=list[str])

    def x(self, moment: float) -> float:
        span = max(self.end - self.start, 1e-9)
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max((moment - self.start) / span, 0.0), 1.0)

    def ticks(self) -> Iterable[tuple[float, str]]:
        span = max(self.end - self.start, 1.0)
        step = next((step for step in STEPS if span / step <= MOST_TICKS), round(span))
        for number in range(math.floor(span / step) + 1):
            yield self.x(self.start + number * step), f"{number * step} s"


def latency_plot(
    requests: Sequence[Request], windows: Sequence[Window] = (), limit: float | None = 2.0
) -> str:
    """Each request a point: when it was due, and how long it took from then (logarithmic)."""
    ended = [request for request in requests if request.latency is not None]
    axis = _axis([request.due for request in requests], windows)
    slowest = max([1000 * (request.latency or 0) for request in ended] + [1000 * (limit or 0), 10.0])
    top = 10 ** math.ceil(math.log10(slowest))
    depth = HEIGHT - TOP - BOTTOM

    def y(milliseconds: float) -> float:
        share = math.log10(max(milliseconds, FLOOR_MS) / FLOOR_MS) / math.log10(top / FLOOR_MS)
        return TOP + depth * (1 - share)

    parts = _frame(axis, windows, HEIGHT - BOTTOM)
    power = 1.0
    while power <= top:
        label = f"{power:g} ms" if power < SECOND else f"{power / SECOND:g} s"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(power):.1f}" y2="{y(power):.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{y(power) + 4:.1f}" text-anchor="end">{label}</text>')
        power *= 10
    if limit is not None:
        height = y(1000 * limit)
        parts.append(
            f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        )
    for request in _thinned(ended):
        parts.append(
            f'<circle cx="{axis.x(request.due):.1f}" cy="{y(1000 * (request.latency or 0)):.1f}" r="2" '
            f'fill="{COLOURS[request.outcome]}" fill-opacity="0.65"/>'
        )
    return _svg(parts, HEIGHT, "latency of each request from its scheduled start")


def state_plot(
    lanes: dict[str, Sequence[tuple[float, str]]], windows: Sequence[Window], start: float, end: float
) -> str:
    """A lane for each part of the system; each sample colours the time up to the next one."""
    axis = _Axis(start, end)
    height = TOP + LANE * len(lanes) + BOTTOM
    parts = _frame(axis, windows, height - BOTTOM)
    for number, (name, samples) in enumerate(lanes.items()):
        top = TOP + LANE * number
        parts.append(
            f'<text x="{LEFT - 6}" y="{top + 12}" text-anchor="end" class="lane">{escape(name)}</text>'
        )
        for (moment, state), until in zip(samples, [*(at for at, _ in samples[1:]), end], strict=True):
            parts.append(
                f'<rect x="{axis.x(moment):.1f}" y="{top + 2}" height="{LANE - 5}" '
                f'width="{max(axis.x(until) - axis.x(moment), 0.8):.1f}" '
                f'fill="{STATES.get(state, "#7a7f87")}">'
                f"<title>{escape(name)}: {escape(state)}</title></rect>"
            )
    return _svg(parts, height, "state of each part of the system over time")


def _axis(moments: Sequence[float], windows: Sequence[Window]) -> _Axis:
    every = [*moments, *(window.start for window in windows), *(window.end for window in windows)]
    return _Axis(min(every, default=0.0), max(every, default=1.0))


def _frame(axis: _Axis, windows: Sequence[Window], bottom: float) -> list[str]:
    parts: list[str] = []
    for window in windows:
        left, right = axis.x(window.start), axis.x(window.end)
        parts.append(
            f'<rect class="window" x="{left:.1f}" y="{TOP}" width="{max(right - left, 1.5):.1f}" '
            f'height="{bottom - TOP:.1f}"><title>{escape(window.label)}</title></rect>'
        )
        parts.append(f'<text class="label" x="{left + 4:.1f}" y="{TOP + 11}">{escape(window.label)}</text>')
    for x, label in axis.ticks():
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{label}</text>')
    return parts


def _thinned(requests: Sequence[Request]) -> Iterable[Request]:
    """Fewer points for the eye, but every one that is slow or went wrong."""
    step = max(1, len(requests) // MOST_POINTS)
    for number, request in enumerate(requests):
        if number % step == 0 or request.outcome != "ok" or (request.latency or 0) > 1:
            yield request


STYLE = (
    ".grid{stroke:#8884;stroke-width:1}.limit{stroke:#b3261e;stroke-dasharray:5 4}"
    ".window{fill:#c9781f;fill-opacity:.16}text{font:11px system-ui,sans-serif;fill:#7a7f87}"
    ".label{fill:#c9781f}"
)


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><style>{STYLE}</style>{"".join(parts)}</svg>'
    )
