"""The report of guides that were gone through: JSON for scripts, and a page with both sides side by side."""

from __future__ import annotations

import os
from html import escape
from platform import platform, python_version
from typing import TYPE_CHECKING, Literal

import msgspec

from bookstore.lab.experiments.journal import now
from bookstore.lab.report.page import table, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bookstore.lab.scenarios.play import Played

Ending = Literal["passed", "failed", "unknown", "interrupted"]
HOLDS, FAILS = '<td class="valid">holds</td>', '<td class="invalid">fails</td>'
CLASSES = {"passed": "valid", "failed": "invalid", "unknown": "unknown", "interrupted": "unknown"}


def ending(played: Sequence[Played]) -> Ending:
    """What it comes to: a guide that needs what isn't there is unknown."""
    if any(each.interrupted for each in played):
        return "interrupted"
    if all(each.holds for each in played):
        return "passed"
    return "unknown" if all(each.holds or each.missing for each in played) else "failed"


def write(folder: Path, played: Sequence[Played]) -> None:
    """Write both forms."""
    rows = [
        {"guide": p.guide.number, "judgement": ending([p]), **rows_of(p), "observations": p.observations}
        for p in played
    ]
    text = msgspec.json.format(msgspec.json.encode({"judgement": ending(played), "guides": rows}))
    (folder / "report.json").write_bytes(text + b"\n")
    (folder / "report.html").write_text(page(played))


def page(played: Sequence[Played]) -> str:
    """The whole page."""
    where = f"{now()}, {platform()}, {os.cpu_count() or 0} CPUs, Python {python_version()}"
    body = "".join([_overview(played), *map(_section, played)])
    return wrapped("Guides", where, [each.guide.number for each in played], body)


def rows_of(played: Played) -> dict[str, object]:
    """What is told of one guide, beside its observations."""
    return {"title": played.guide.title, "holds": played.holds, "missing": played.missing}


def _overview(played: Sequence[Played]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{_anchor(each)}">{escape(each.guide.number)}</a></td>'
        f"<td>{escape(each.guide.title)}</td>"
        f'<td class="{CLASSES[ending([each])]}">{ending([each])}</td>'
        f'<td class="n">{each.held} of {len(each.observations)}</td></tr>'
        for each in played
    )
    return table(("guide", "what it shows", "verdict", "observations that hold"), rows)


def _anchor(played: Played) -> str:
    return f"guide-{escape(played.guide.number)}"


def _section(played: Played) -> str:
    guide, verdict = played.guide, ending([played])
    rows = "".join(
        f"<tr><td>{escape(step)}</td><td>{escape(observation.says)}</td><td>{escape(observation.seen)}</td>"
        f"{HOLDS if observation.holds else FAILS}</tr>"
        for step, observation in played.observations
    )
    elsewhere = "".join(f'<p class="soft">{escape(line)}</p>' for line in guide.elsewhere)
    return (
        f'<section aria-labelledby="{_anchor(played)}"><h2 id="{_anchor(played)}">'
        f"{escape(guide.number)}: {escape(guide.title)}: "
        f'<span class="{CLASSES[verdict]}">{verdict}</span></h2><p>{escape(played.missing)}</p>'
        f"{table(('step', 'the guide', 'seen', 'verdict'), rows)}{elsewhere}</section>"
    )
