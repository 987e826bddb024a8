"""The guides' steps as a page shows them: what a guide says, what is typed here, what is seen.

They are data, `apps/lab/.../scenarios/guides`, and `bookstore scenario run` goes through the same data.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from bookstore.lab.system.topology import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUIDES = "apps/lab/src/bookstore/lab/scenarios/guides"
PORTS = {one.name: one.port for service in SYSTEM.services for one in (service, *service.doors)}
VARIABLE = re.compile(r"\{(\w+)\}")
IDS = "book|gone|order|order_\\w+|product|customer"
"""Variables that stand for numbers."""
JSON = '-H "Content-Type: application/json"'
WIDTH = 100
WHICH = {
    "all": "",
    "any": "one of them: ",
    "first": "the first: ",
    "second": "the second: ",
    "last": "the last: ",
}


def load(root: Path, number: str) -> dict[str, Any]:
    """A guide as it is kept."""
    path = root / GUIDES / f"{number}.json"
    if not path.exists():
        raise LookupError(f"there is no guide {number}")
    return json.loads(path.read_text())


def steps(root: Path, number: str) -> str:
    """All steps of a guide as Markdown."""
    guide = load(root, number)
    return "\n\n".join(step(each, guide.get("replicas", {})) for each in guide["steps"])


def step(told: dict[str, Any], replicas: dict[str, int]) -> str:
    """One step: its title, the lines to type, and what the guide says beside what is seen."""
    lines = [
        *(deed(each, replicas) for each in told.get("first", [])),
        *(asked(each) for each in told["ask"]),
        *(deed(each, replicas) for each in told.get("then", [])),
    ]
    typed = "\n".join(lines)
    rows = [f"| {_plain(each['says'])} | {seen(each, several=_several(told))} |" for each in told["see"]]
    table = "\n".join(["| the guide says | seen |", "|---|---|", *rows])
    return f"### {told['title']}\n\n```sh\n{typed}\n```\n\n{table}"


def _several(told: dict[str, Any]) -> bool:
    return sum(each.get("times", 1) for each in told["ask"]) > 1


def deed(told: dict[str, Any], replicas: dict[str, int]) -> str:
    """What is done to the system, as lines to type. Who is told to end serves on for some seconds."""
    match told["action"], told.get("arguments", {}):
        case "terminate", {"instance": instance}:
            gone = f'while [ "$(of {instance} pid)" != None ]; do sleep 1; done'
            return f"kill $(of {instance} pid)\n{gone}"
        case "let_go", _:
            options = "".join(f" --replicas {name}={count}" for name, count in replicas.items())
            return f"uv run bookstore up --detach{options}"
        case "restore", _:
            return _switched({"mode": "normal"})
        case "supplier_mode", {"mode": mode, "parameters": parameters}:
            return _switched({"mode": mode, **parameters})
        case action, _:
            raise LookupError(f"nobody knows how {action} is typed")


def _switched(body: dict[str, Any]) -> str:
    return (
        f"curl -X POST http://localhost:{PORTS['supplier-control']}/set_failure_mode {JSON}"
        f" -d '{json.dumps(body)}'"
    )


def asked(request: dict[str, Any]) -> str:
    """A request as a line to type."""
    line = curl(request)
    if saved := request.get("save"):
        name, field = next(iter(saved.items()))
        if request.get("times", 1) > 1:
            return f"{_times(line, request['times'] - 1)}\n{name.upper()}=$({line} | field {field})"
        return f"{name.upper()}=$({line} | field {field})"
    if wanted := request.get("until"):
        return f"until {line} | grep {shlex.quote(wanted)}; do sleep 1; done"
    if (times := request.get("times", 1)) > 1:
        return _times(line, times, together=request.get("together", False))
    return line


def _times(line: str, times: int, *, together: bool = False) -> str:
    end = " &" if together else ";"
    return f"for _ in $(seq {times}); do {line}{end} done" + ("; wait" if together else "")


def curl(request: dict[str, Any]) -> str:
    """The bare command; a long one over several lines."""
    method = request.get("method", "GET")
    words = [f"curl{'' if method == 'GET' else f' -X {method}'} {_address(request['to'], request['path'])}"]
    words += [f'-H "{_named(f"{name}: {value}")}"' for name, value in request.get("headers", {}).items()]
    if "body" in request:
        words += [JSON, f"-d {_spliced(bare(request['body']))}"]
    return " \\\n    ".join(words) if len(" ".join(words)) > WIDTH else " ".join(words)


def bare(body: Any) -> str:
    """JSON in which the id of something stands bare, as a number does."""
    return re.sub(rf'"(\{{(?:{IDS})\}})"', r"\1", json.dumps(body))


def _address(to: str, path: str) -> str:
    text = _named(path)
    if to in PORTS:
        address = f"http://localhost:{PORTS[to]}{text}"
        return f'"{address}"' if re.search(r"[$?&]", text) else address
    return f'"$(of {to} url){text}"'


def _named(text: str) -> str:
    """With its variables as the shell names them."""
    return VARIABLE.sub(lambda found: f"${found[1].upper()}", text)


def _spliced(text: str) -> str:
    """In single quotes, which are closed round each variable."""
    return VARIABLE.sub(lambda found: f"'${found[1].upper()}'", f"'{text}'")


def seen(check: dict[str, Any], *, several: bool) -> str:
    """What is to be seen, in words."""
    which = WHICH[check.get("which", "all")] if several else ""
    return _plain(which) + f"{_look(check)} {_value(check)}".strip()


def _look(check: dict[str, Any]) -> str:
    return {
        "status": "status",
        "text": "the answer",
        "field": f"`{check.get('field')}`",
        "header": f"header `{check.get('field')}`",
        "seconds": "it takes",
    }[check.get("look", "status")]


def _value(check: dict[str, Any]) -> str:
    unit = " s" if check.get("look") == "seconds" else ""
    words: dict[str, Callable[[Any], str]] = {
        "distinct": lambda count: f"has {count} values or more",
        "exactly": lambda counts: ", ".join(f"{value} {count} times" for value, count in counts.items()),
        "has": lambda text: f"has `{_plain(text)}`",
        "one_of": lambda values: " or ".join(f"`{value}`" for value in values),
        "above": lambda low: f"more than {low}{unit}",
        "below": lambda high: f"less than {high}{unit}",
        "equals": lambda value: f"`{_plain(str(value).lower() if isinstance(value, bool) else str(value))}`",
    }
    return " and ".join(words[name](value) for name, value in check.items() if name in words) or "is there"


def _plain(text: str) -> str:
    return _named(text).replace("|", "\\|")
