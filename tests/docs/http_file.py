"""Sends what is written in an `.http` file, and holds the answers to what it says.

This is the part of httpYac's format that our files use: variables (`@run={{$timestamp}}`), names of answers
(`# @name`) and their fields (`{{order.id}}`), `# @loop for 5`, `# @sleep`, and what must be true (`??`).
Whatever else is in a file is an error, so that no assertion is passed over.

Two things are done otherwise, for a machine that is busy. A request with a `# @sleep` is sent again until
what it says is true, for `PATIENCE` seconds. And a duration may be `SLACK` times as long as it says.
"""

import json
import re
import time
from dataclasses import dataclass, field

PATIENCE = 90.0
SLACK = 5
METHODS = "GET|POST|PUT|PATCH|DELETE"
VARIABLE = re.compile(r"\{\{([^}]+)\}\}")
ASSERTION = re.compile(
    r"(?P<look>status|duration|body|header [\w-]+|js response\.parsedBody(?P<path>[\w.\[\]]+))"
    r" (?P<word>==|<|>|contains|matches|exists)(?: (?P<value>.*))?"
)


WORDS = {
    "==": lambda seen, wanted: (seen if isinstance(seen, str) else json.dumps(seen)) == wanted,
    "<": lambda seen, wanted: seen < float(wanted),
    ">": lambda seen, wanted: seen > float(wanted),
    "contains": lambda seen, wanted: wanted in seen,
    "matches": lambda seen, wanted: re.search(wanted, seen) is not None,
    "exists": lambda seen, _: seen is not None,
}


class Unreadable(Exception):
    """A line that isn't understood."""


@dataclass
class Request:
    """One request of a file."""

    title: str
    name: str = ""
    loop: int = 1
    sleeps: bool = False
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    assertions: list[str] = field(default_factory=list)


def parse(text):
    """The variables of a file, and its requests."""
    head, *blocks = re.split(r"^### ?", text, flags=re.MULTILINE)
    variables = {}
    for line in filter(str.strip, head.splitlines()):
        if found := re.fullmatch(r"@(\w+)=(.*)", line):
            variables[found[1]] = found[2]
        elif not line.startswith("#"):
            raise Unreadable(line)
    return variables, [_request(block) for block in blocks]


def _request(block):
    title, *lines = block.splitlines()
    request = Request(title.strip())
    in_body = False
    for line in lines:
        if line.startswith("#"):
            _note(request, line)
        elif line.startswith("??"):
            if not ASSERTION.fullmatch(line.removeprefix("?? ")):
                raise Unreadable(line)
            request.assertions.append(line.removeprefix("?? "))
        elif not request.url:
            if not line:
                continue
            found = re.fullmatch(rf"({METHODS}) (\S+)", line)
            if not found:
                raise Unreadable(line)
            request.method, request.url = found.groups()
        elif not line:
            in_body = True
        elif in_body:
            request.body += line
        else:
            name, _, value = line.partition(": ")
            request.headers[name] = value
    return request


def _note(request, line):
    if found := re.fullmatch(r"# @(\w+) (.*)", line):
        match found.groups():
            case "name", name:
                request.name = name
            case "loop", times if re.fullmatch(r"for \d+", times):
                request.loop = int(times.removeprefix("for "))
            case "sleep", milliseconds if milliseconds.isdigit():
                request.sleeps = True
            case _:
                raise Unreadable(line)


def run(text, environment, client):
    """Send all of a file, in its order; gives what wasn't as it says."""
    variables, requests = parse(text)
    known = dict(environment)
    for name, value in variables.items():
        known[name] = str(int(time.time() * 1000)) if value == "{{$timestamp}}" else value
    failures = []
    for request in requests:
        for turn in range(request.loop):
            failures += [f"{request.title} [{turn + 1}]: {each}" for each in _turn(request, known, client)]
    return failures


def _turn(request, known, client):
    until = time.monotonic() + (PATIENCE if request.sleeps else 0.0)
    while True:
        began = time.monotonic()
        answer = client.request(
            request.method,
            filled(request.url, known),
            headers={name: filled(value, known) for name, value in request.headers.items()},
            content=filled(request.body, known) or None,
        )
        took = (time.monotonic() - began) * 1000
        wrong = [each for each in request.assertions if not holds(filled(each, known), answer, took)]
        if not wrong or time.monotonic() >= until:
            break
        time.sleep(0.2)
    if request.name:
        known[request.name] = answer.json()
    return [f"{each}: {answer.status_code} {answer.text[:300]}" for each in wrong]


def filled(text, known):
    """A text with its variables; one that isn't known is an error."""

    def value(found):
        head, *path = found[1].strip().split(".")
        if head not in known:
            raise Unreadable(f"nobody knows {found[0]}")
        return str(at(known[head], path))

    return VARIABLE.sub(value, text)


def at(value, path):
    """What is at a place in JSON."""
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def holds(assertion, answer, took):
    """Whether one assertion is true of an answer."""
    look, path, word, wanted = ASSERTION.fullmatch(assertion).group("look", "path", "word", "value")
    if look == "duration":
        return took < SLACK * float(wanted) if word == "<" else took > float(wanted)
    try:
        seen = _seen(look, path, answer)
    except (LookupError, TypeError, ValueError):
        return False
    return WORDS[word](seen, wanted)


def _seen(look, path, answer):
    if look == "status":
        return answer.status_code
    if look == "body":
        return answer.text
    if look.startswith("header "):
        return answer.headers[look.removeprefix("header ")]
    return at(answer.json(), re.findall(r"\w+", path))
