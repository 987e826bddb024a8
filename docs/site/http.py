"""Requests as `.http` files, as httpYac reads them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from docs.site import guide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docs.site.calls import Call, Check

PATIENCE = 8000
"""Milliseconds after which what is asked for until it is there should be there."""
ANSWERED = {"token": "access_token", "staff": "access_token"}
"""The field that a variable is of, in the answer that bears its name; of all others it is the id."""


def files(
    calls: Mapping[str, Sequence[Call]], titles: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    """A file for each guide, and one with what they all know."""
    made = {f"{number}.http": _file(number, titles[number], calls[number]) for number in calls}
    return made | {"http-client.env.json": json.dumps({"local": known}, indent=2) + "\n"}


def _file(number: str, title: str, calls: Sequence[Call]) -> str:
    head = [
        f"# Guide {number}: {title}.",
        "# Made by `python -m docs.site fill` of the guide's steps: change it there.",
        "",
        "@run={{$timestamp}}",
    ]
    return "\n".join([*head, *(line for call in calls for line in _block(call)), ""])


def _block(call: Call) -> list[str]:
    body = ["Content-Type: application/json", "", _filled(call.body), ""] if call.body else []
    return [
        "",
        f"### {call.title}",
        *(f"# The guide: {note}" for note in call.notes),
        *(f"# @name {name}" for name in call.saves),
        *([f"# @loop for {call.times}"] if call.times > 1 else []),
        *([f"# @sleep {PATIENCE}"] if call.waits else []),
        f"{call.method} {{{{{call.to}}}}}{_filled(call.path)}",
        *(f"{name}: {_filled(value)}" for name, value in call.headers.items()),
        *body,
        *(f"?? {_said(check)}" for check in call.checks),
    ]


def _said(check: Check) -> str:
    """What must be true, as the format has it."""
    path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in check.field)
    subject = {
        "status": "status",
        "text": "body",
        "field": f"js response.parsedBody{path}",
        "header": f"header {path[1:].lower()}",
        "seconds": "duration",
    }[check.look]
    scale = 1000 if check.look == "seconds" else 1
    words: dict[str, Callable[[Any], str]] = {
        "has": lambda text: f"contains {_filled(text)}",
        "equals": lambda value: f"== {_filled(json.dumps(value) if isinstance(value, bool) else str(value))}",
        "one_of": lambda values: f"matches ^({'|'.join(values)})$",
        "above": lambda low: f"> {low * scale:g}",
        "below": lambda high: f"< {high * scale:g}",
        "": lambda _: "exists",
    }
    return f"{subject} {words[check.word](check.value)}"


def _filled(text: str) -> str:
    """With its variables as the format has them: what an answer had is asked of the request's name."""

    def named(found: re.Match[str]) -> str:
        name = found[1]
        answered = ANSWERED.get(name) or ("id" if re.fullmatch(guide.IDS, name) else "")
        return "{{" + (f"{name}.{answered}" if answered else name) + "}}"

    return guide.VARIABLE.sub(named, text)
