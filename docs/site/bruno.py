"""The same requests as a collection for Bruno: a folder a guide, a file a request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from docs.site import guide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docs.site.calls import Call, Check

PATIENCE = 8000
COLLECTION = """script:pre-request {
  if (!bru.getVar("run")) {
    bru.setVar("run", String(Date.now()));
  }
}
"""
AGAIN = """const times = Number(bru.getVar("times") || 0) + 1;
bru.setVar("times", times %% %d);
if (times < %d) {
  bru.runner.setNextRequest(req.getName());
}"""


def files(
    calls: Mapping[str, Sequence[Call]], titles: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    """All files of the collection."""
    made = {
        "bruno.json": json.dumps({"version": "1", "name": "Bookstore", "type": "collection"}, indent=2)
        + "\n",
        "collection.bru": COLLECTION,
        "environments/local.bru": _block("vars", [f"{name}: {value}" for name, value in known.items()]),
    }
    for number, requests in calls.items():
        made[f"{number}/folder.bru"] = _block("meta", [f"name: {number} {titles[number]}"])
        for place, call in enumerate(requests, 1):
            name = re.sub(r"[^a-z0-9]+", "-", call.title.lower()).strip("-")
            made[f"{number}/{place:02}-{name[:40].strip('-')}.bru"] = _request(call, place)
    return made


def _request(call: Call, place: int) -> str:
    kind = "json" if call.body else "none"
    blocks = [
        _block("meta", [f"name: {call.title}", "type: http", f"seq: {place}"]),
        _block(
            call.method.lower(),
            [f"url: {{{{{call.to}}}}}{_filled(call.path)}", f"body: {kind}", "auth: none"],
        ),
        _block("headers", [f"{name}: {_filled(value)}" for name, value in call.headers.items()]),
        _block("body:json", [_filled(call.body)] if call.body else []),
        _block("vars:post-response", [f"{name}: res.body.{path}" for name, path in call.saves.items()]),
        _block("assert", [_said(check) for check in call.checks if check.look != "text"]),
        _block("script:pre-request", [f"await bru.sleep({PATIENCE});"] if call.waits else []),
        _block(
            "script:post-response", (AGAIN % (call.times, call.times)).splitlines() if call.times > 1 else []
        ),
        _block("tests", [line for check in call.checks if check.look == "text" for line in _tested(check)]),
        _block("docs", [f"The guide: {note}" for note in call.notes]),
    ]
    return "\n".join(block for block in blocks if block)


def _block(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{name} {{", *(f"  {line}" for line in lines), "}", ""]) if lines else ""


def _said(check: Check) -> str:
    path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in check.field)
    subject = {
        "status": "res.status",
        "field": f"res.body{path}",
        "header": f"res.headers['{path[1:].lower()}']",
        "seconds": "res.responseTime",
    }[check.look]
    scale = 1000 if check.look == "seconds" else 1
    words: dict[str, Callable[[Any], str]] = {
        "equals": lambda value: f"eq {_filled(_written(value))}",
        "one_of": lambda values: f"in {', '.join(values)}",
        "above": lambda low: f"gt {low * scale:g}",
        "below": lambda high: f"lt {high * scale:g}",
        "": lambda _: "isDefined",
    }
    return f"{subject}: {words[check.word](check.value)}"


def _written(value: Any) -> str:
    """A text in quotes where it could be taken for a number."""
    number = isinstance(value, str) and re.fullmatch(r"[\d.]+", value)
    return json.dumps(value) if number or isinstance(value, bool) else str(value)


def _tested(check: Check) -> list[str]:
    """A text in the answer as it came: Bruno's own assertions see it read as JSON already."""
    said = json.dumps(check.value)
    wanted = guide.VARIABLE.sub(r'" + bru.getVar("\1") + "', said)
    return [
        f"test({json.dumps('has ' + guide.VARIABLE.sub('', check.value))}, function () {{",
        '  const text = typeof res.body === "string" ? res.body : JSON.stringify(res.body);',
        f"  expect(text).to.contain({wanted});",
        "});",
    ]


def _filled(text: str) -> str:
    return guide.VARIABLE.sub(r"{{\1}}", text)
