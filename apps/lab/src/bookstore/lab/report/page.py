"""The report as one page that needs nothing else: no script, no foreign host, light and dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bookstore.lab.load import history
from bookstore.lab.report.plot import Window, latency_plot, state_plot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bookstore.lab.experiments.journal import Phase
    from bookstore.lab.report.write import Result

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root{color-scheme:light dark;--line:#8885;--soft:#7a7f87}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:62rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .2rem}p{margin:.3rem 0}
table{border-collapse:collapse;width:100%;font-size:.88rem;margin:.6rem 0}
th,td{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}svg{width:100%;min-width:34rem;height:auto}
.valid{color:#2f7d5b}.invalid{color:#b3261e;font-weight:600}.unknown{color:#b9770e;font-weight:600}
small,.soft{color:var(--soft)}a{color:inherit}
"""


def page(folder: Path, results: Sequence[Result]) -> str:
    """The whole page; histories are read from the run's folder for the plots."""
    first = results[0].journal if results else None
    where = f"{first.start}, {first.system}, {first.cpus} CPUs, Python {first.python}" if first else ""
    body = "".join([_overview(results), *(_section(folder, result) for result in results)])
    return wrapped("Experiments", where, [result.name for result in results], body)


def wrapped(heading: str, where: str, names: Sequence[str], body: str) -> str:
    """A page that needs nothing else.

    Args:
        heading: what the page is about.
        where: when and on what that was seen.
        names: of what is told; they stand in the title, so that one page's tab is known from another's.
        body: the page's main part.
    """
    title = f"{heading}: {', '.join(names)}" if names else heading
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)} - Bookstore</title><style>{STYLE}</style></head><body>"
        f'<header><h1>{escape(heading)}</h1><p class="soft">{escape(where)}</p></header>'
        f"<main>{body}</main></body></html>\n"
    )


def table(heads: Sequence[str], rows: str) -> str:
    """Rows under their heads, in a box of its own to scroll in: the page itself never gets wider."""
    return (
        f'<div class="scroll"><table><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr>'
        f"{rows}</table></div>"
    )


def _overview(results: Sequence[Result]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{escape(r.name)}">{escape(r.name)}</a></td>'
        f'<td class="{r.journal.findings.judgement}">{r.journal.findings.judgement}'
        f"{'' if r.as_expected else ' (not as it should be)'}</td>"
        f'<td class="n">{r.journal.duration:.1f}</td>'
        f"<td>{escape(_bites(r))}</td></tr>"
        for r in results
    )
    return table(("experiment", "verdict", "seconds", "what shows that it bit"), rows)


def _bites(result: Result) -> str:
    return "; ".join(f"{'' if bite.bit else 'NOT: '}{bite.proof}" for bite in result.journal.findings.bites)


def _section(folder: Path, result: Result) -> str:
    name, findings = escape(result.name), result.journal.findings
    experiment: dict[str, Any] = result.journal.experiment or {}
    verdicts = "".join(
        f'<tr><td>{escape(v.invariant)}</td><td class="{v.judgement}">{v.judgement}</td>'
        f"<td>{escape(v.reason)}{_examples(v.examples)}</td></tr>"
        for v in findings.verdicts
    )
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{name}: '
        f'<span class="{findings.judgement}">{findings.judgement}</span></h2>'
        f"<p>{escape(str(experiment.get('title', '')))}. {escape(str(experiment.get('description', '')))}</p>"
        f'<p class="soft">{escape(result.journal.status)}, definition {escape(findings.digest)}, '
        f"generator's lag p99 {findings.lag_p99_ms:.1f} ms{findings.again}</p>"
        f"{_plots(folder, result)}"
        f"{table(('invariant', 'verdict', 'why'), verdicts)}{_phases(findings.phases)}</section>"
    )


def _examples(numbers: Sequence[int]) -> str:
    return f" <small>({', '.join(map(str, numbers))})</small>" if numbers else ""


def _plots(folder: Path, result: Result) -> str:
    path, findings = folder / result.name / "history.jsonl", result.journal.findings
    if not path.exists() or "inject" not in findings.marks:
        return ""
    requests = [request for file in sorted(path.parent.glob("*.jsonl")) for request in history.read(file)]
    began = min((request.due for request in requests), default=0.0)
    for request in requests:
        request.due -= began
        request.sent -= began
        request.done = None if request.done is None else request.done - began
    window = Window(findings.marks["inject"], findings.marks["after"], "fault")
    end = max([*findings.marks.values(), *(request.due for request in requests)])
    lanes = {name: samples for name, samples in findings.states.items() if samples}
    return (
        f'<div class="scroll">{latency_plot(requests, [window])}</div>'
        f'<div class="scroll">{state_plot(dict(lanes), [window], 0.0, end)}</div>'
    )


def _phases(phases: Sequence[Phase]) -> str:
    rows = "".join(
        f'<tr><td>{p.name}</td><td class="n">{p.seconds:.1f}</td><td class="n">{p.sent}</td>'
        f'<td class="n">{p.ok}</td><td class="n">{p.refused}</td><td class="n">{p.unknown}</td>'
        + (
            f'<td class="n">{p.latency.p50:.1f}</td><td class="n">{p.latency.p99:.1f}</td>'
            f'<td class="n">{p.latency.max:.1f}</td>'
            if p.latency
            else "<td></td><td></td><td></td>"
        )
        + f'<td class="n">{p.over_two_seconds}</td></tr>'
        for p in phases
    )
    heads = ("phase", "s", "sent", "ok", "refused", "unknown", "p50 ms", "p99 ms", "max ms", "over 2 s")
    return table(heads, rows) if phases else ""
