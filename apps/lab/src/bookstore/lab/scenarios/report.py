"""The report of guides that were gone through: JSON for scripts, and a page with both sides side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Literal

import msgspec

from bookstore.lab.report.page import wrapped

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
    (folder / "report.html").write_text(wrapped("Guides", "".join(_section(each) for each in played)))


def rows_of(played: Played) -> dict[str, object]:
    """What is told of one guide, beside its observations."""
    return {"title": played.guide.title, "holds": played.holds, "missing": played.missing}


def _section(played: Played) -> str:
    guide, verdict = played.guide, ending([played])
    rows = "".join(
        f"<tr><td>{escape(step)}</td><td>{escape(observation.says)}</td><td>{escape(observation.seen)}</td>"
        f"{HOLDS if observation.holds else FAILS}</tr>"
        for step, observation in played.observations
    )
    elsewhere = "".join(f'<p class="soft">{escape(line)}</p>' for line in guide.elsewhere)
    return (
        f"<h2>{escape(guide.number)}: {escape(guide.title)}: "
        f'<span class="{CLASSES[verdict]}">{verdict}</span></h2><p>{escape(played.missing)}</p>'
        '<div class="scroll"><table><tr><th>step</th><th>the guide</th><th>seen</th><th></th></tr>'
        f"{rows}</table></div>{elsewhere}"
    )
