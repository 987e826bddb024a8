"""The report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bookstore.lab.report.write import Result


def markdown(results: Sequence[Result]) -> str:
    """A table of all experiments, then each with its proofs and verdicts."""
    lines = ["# Experiments", "", *_head(results), "", "| experiment | verdict | seconds | it bit |"]
    lines.append("|---|---|---|---|")
    for result in results:
        findings = result.journal.findings
        bites = f"{sum(bite.bit for bite in findings.bites)} of {len(findings.bites)}"
        mark = "" if result.as_expected else " **(not as it should be)**"
        lines.append(
            f"| {result.name} | {findings.judgement}{mark} | {result.journal.duration:.1f} | {bites} |"
        )
    for result in results:
        lines += _about(result)
    return "\n".join([*lines, ""])


def _head(results: Sequence[Result]) -> list[str]:
    if not results:
        return ["Nothing was run."]
    first = results[0].journal
    where = f"on {first.system}, {first.cpus} CPUs, Python {first.python}"
    return [f"{len(results)} experiments, begun {first.start}, {where}."]


def _about(result: Result) -> list[str]:
    findings, journal = result.journal.findings, result.journal
    experiment: dict[str, Any] = journal.experiment or {}
    told = f"{experiment.get('title', '')}. {experiment.get('description', '')}"
    lines = ["", f"## {result.name}: {findings.judgement}", "", told]
    lines += [
        "",
        f"Status {journal.status}, definition {findings.digest}{findings.again}.",
        "",
    ]
    lines += [
        f"- {'bit' if bite.bit else '**did not bite**'}: {bite.fault}: {bite.proof}"
        for bite in findings.bites
    ]
    if findings.verdicts:
        lines += ["", "| invariant | verdict | why |", "|---|---|---|"]
        lines += [f"| {v.invariant} | {v.judgement} | {_cell(v.reason)} |" for v in findings.verdicts]
    if findings.phases:
        lines += ["", "| phase | s | sent | ok | refused | unknown | p50 ms | p99 ms | max ms | over 2 s |"]
        lines.append("|---|---|---|---|---|---|---|---|---|---|")
        for phase in findings.phases:
            times = phase.latency
            shown = f"{times.p50:.1f} | {times.p99:.1f} | {times.max:.1f}" if times else "- | - | -"
            lines.append(
                f"| {phase.name} | {phase.seconds:.1f} | {phase.sent} | {phase.ok} | {phase.refused} "
                f"| {phase.unknown} | {shown} | {phase.over_two_seconds} |"
            )
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
