"""The guides' steps as requests for HTTP clients, each with what must be true of its answer.

A step that needs a shell, such as the end of a process, is left out, and with it what could only be seen
then.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docs.site import bruno, guide, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = ("000", "001", "002", "003", "004")
SERVICES = (
    *("gateway", "books", "orders", "accounts", "monitor", "playground"),
    *("supplier", "supplier-control", "orders-worker"),
)


@dataclass
class Check:
    """What must be true: of `look` (and its field) it is so, by a word of the guides and a value.

    Without a word it is enough that it is there. A field is a path, in parts.
    """

    look: str
    field: tuple[str, ...] = ()
    word: str = ""
    value: Any = None


@dataclass
class Call:
    """One request. In its texts a variable stands in braces: `{run}`, and `{token}` for what was answered."""

    title: str
    to: str
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: str = ""
    notes: list[str] = field(default_factory=list[str])
    saves: dict[str, str] = field(default_factory=dict[str, str])
    times: int = 1
    waits: bool = False
    checks: list[Check] = field(default_factory=list[Check])


def files(root: Path) -> dict[Path, str]:
    """Each file with requests, as it should be."""
    folder = root / "docs" / "requests"
    told = {number: guide.load(root, number) for number in NUMBERS}
    calls = {number: [*of(each)] for number, each in told.items()}
    titles = {number: each["title"] for number, each in told.items()}
    known = {
        **{service.replace("-", "_"): f"http://localhost:{guide.PORTS[service]}" for service in SERVICES},
        "staff_email": "staff@bookstore.local",
        "staff_password": "",
    }
    made = http.files(calls, titles, known) | {
        f"bruno/{path}": text for path, text in bruno.files(calls, titles, known).items()
    }
    return {folder / path: text for path, text in made.items()}


def of(told: dict[str, Any]) -> Iterator[Call]:
    """The requests of a guide, in their order."""
    outage = False
    for step in told["steps"]:
        deeds = step.get("first", [])
        if any(deed["action"] == "terminate" for deed in deeds):
            outage = True
        elif outage:
            outage = False  # what comes after an outage is that it is over
        else:
            yield from (_switch(deed, step["title"]) for deed in deeds)
            yield from _asked(step)


def _switch(deed: dict[str, Any], title: str) -> Call:
    arguments = deed.get("arguments", {})
    body = {"mode": arguments.get("mode", "normal"), **arguments.get("parameters", {})}
    return Call(
        title=f"{title}: the supplier is told",
        to="supplier_control",
        path="/set_failure_mode",
        method="POST",
        body=json.dumps(body),
        checks=[Check("status", (), "equals", 200)],
    )


def _asked(step: dict[str, Any]) -> Iterator[Call]:
    parts = [part for request in step["ask"] for part in _parts(request, step)]
    for number, request in enumerate(parts):
        alike = request.get("times", 1) == 1 or "status" in request
        places = {"first": number == 0, "second": number == 1, "last": number == len(parts) - 1}
        checks = [
            *([Check("status", (), "equals", request["status"])] if "status" in request else []),
            *([Check("text", (), "has", request["until"])] if "until" in request else []),
            *(
                each
                for told in step["see"]
                if _of_each(told) and (told.get("which", "all") == "all" or (alike and places[told["which"]]))
                for each in _checks(told)
            ),
        ]
        yield Call(
            title=step["title"] if number == 0 else f"{step['title']} ({number + 1})",
            # books-1 is a process of books; a client that isn't told better asks the first one.
            to=re.sub(r"-\d+$", "", request["to"]).replace("-", "_"),
            path=request["path"],
            method=request.get("method", "GET"),
            headers=request.get("headers", {}),
            body=guide.bare(request["body"]) if "body" in request else "",
            notes=[guide.VARIABLE.sub("", told["says"]) for told in step["see"]] if number == 0 else [],
            saves=request.get("save", {}),
            times=request.get("times", 1),
            waits="until" in request,
            checks=checks or [Check("status", (), "below", 400)],
        )


def _parts(request: dict[str, Any], step: dict[str, Any]) -> list[dict[str, Any]]:
    """A request that is sent several times, as several where the last ones are of another kind."""
    times = request.get("times", 1)
    if counts := next((check["exactly"] for check in step["see"] if "exactly" in check), None):
        return [{**request, "times": count, "status": int(status)} for status, count in counts.items()]
    if times > 1 and "save" in request:
        rest = {name: value for name, value in request.items() if name != "save"}
        return [{**rest, "times": times - 1}, {**request, "times": 1}]
    return [request]


def _of_each(told: dict[str, Any]) -> bool:
    """Whether what a guide says can be told of one answer alone."""
    return not ("exactly" in told or "distinct" in told or told.get("which") == "any")


def _checks(told: dict[str, Any]) -> list[Check]:
    look, path = told.get("look", "status"), tuple(told.get("field", "").split("."))
    words = [name for name in told if name in {"has", "equals", "one_of", "above", "below"}]
    return [Check(look, path, word, told[word]) for word in words] or [Check(look, path)]
