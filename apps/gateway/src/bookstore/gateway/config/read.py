"""From a file to a `Config`, or to everything that is wrong with it, each with the path of its field."""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import msgspec

from bookstore.gateway.config.check import faults
from bookstore.gateway.config.model import Config, Key, Limit, Target, Upstream

Format = Literal["toml", "json"]
Urls = Mapping[str, tuple[str, ...]]

_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$?(?P<where>.*)`)?$", re.DOTALL)
_PLACE = re.compile(r"\{([a-z_]+)\}")
_TABLES = {"upstreams": Upstream, "limits": Limit, "keys": Key}
_MEANING = {
    r"(:\\d{1,5})?": "must look like http://host:port, or {name}",
    r"|\\{[a-z_]+\\})/": "must look like http://host:port/path, or {name}/path",
    r"^/\\S": "must be a path that begins with a slash",
    r"{0,63}$": "must have 1 to 64 letters, digits, and . _ -",
    r"^[A-Z][A-Z-]": "must be a method, in capitals",
    r"{64}$": "must be a SHA-256 in hexadecimal: 64 characters",
    r"|\\*)$": "must look like https://host, or be *",
}


class Problem(NamedTuple):
    """One thing that is wrong, and where: `routes[3].timeout.total`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ConfigError(Exception):
    """The file can't be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def default(urls: Urls) -> Config:
    """What the gateway does without a file of the user's."""
    text = files("bookstore.gateway.config").joinpath("default.toml").read_bytes()
    return read_text(text, "toml", urls)


def read_file(path: Path, urls: Urls) -> Config:
    """Read a file: JSON if it is called so, else TOML.

    Raises:
        ConfigError: with all that is wrong.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem("", f"{path} can't be read: {error.strerror}")]) from None
    return read_text(text, "json" if path.suffix == ".json" else "toml", urls)


def read_text(text: bytes, form: Format, urls: Urls) -> Config:
    """Read what a file holds; `urls` are the addresses that stand behind names in braces.

    Raises:
        ConfigError: with all that is wrong.
    """
    try:
        data = msgspec.json.decode(text) if form == "json" else tomllib.loads(text.decode())
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([Problem("", f"this is no {form.upper()}: {error}")]) from None
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise ConfigError([_located(error, data)]) from None
    problems = [Problem(*fault) for fault in faults(config)]
    if not problems:
        config, problems = _addressed(config, urls)
    if problems:
        raise ConfigError(problems)
    return config


def _located(error: msgspec.ValidationError, data: Any) -> Problem:
    """The problem with its whole path: msgspec leaves out which entry of a table it was."""
    problem = _taken_apart(error)
    if "`key` in" in str(error):
        table = str(error).rpartition(".")[2].rstrip("`")
        return Problem(table, f"a name there {problem.message}")
    if "[...]" not in problem.field:
        return problem
    table = problem.field.partition("[")[0]
    kind = _TABLES[table]
    for name, value in cast("dict[str, Any]", data[table]).items():
        try:
            msgspec.convert({name: value}, dict[Any, kind])
        except msgspec.ValidationError as inner:
            found = _taken_apart(inner)
            return Problem(f"{table}.{name}{found.field.partition(']')[2]}", found.message)
    raise LookupError(problem)


def _in_words(message: str) -> str:
    """What a pattern means, for those who don't read patterns."""
    if "matching regex" not in message:
        return message
    return next((words for mark, words in _MEANING.items() if mark in message), message)


def _taken_apart(error: msgspec.ValidationError) -> Problem:
    found = cast("re.Match[str]", _WHERE.match(str(error)))
    message, where = found["what"], (found["where"] or "").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL)
    if unknown:
        return Problem(f"{where}.{unknown[1]}".lstrip("."), "there is no such field")
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    if missing:
        return Problem(f"{where}.{missing[1]}".lstrip("."), "missing")
    return Problem(where, _in_words(message))


def _addressed(config: Config, urls: Urls) -> tuple[Config, list[Problem]]:
    """The same with real addresses. A service that has none is no part of this system, nor are its routes."""
    problems: list[Problem] = []
    upstreams: dict[str, Upstream] = {}
    for name, upstream in config.upstreams.items():
        targets: list[Target] = []
        for at, target in enumerate(upstream.targets):
            place = _PLACE.fullmatch(target.url)
            if place is None:
                targets.append(target)
            elif place[1] in urls:
                targets += [Target(url=url, weight=target.weight) for url in urls[place[1]]]
            else:
                where = f"upstreams.{name}.targets[{at}].url"
                problems.append(Problem(where, f"nothing is called {place[1]}; known are {', '.join(urls)}"))
        if len({target.url for target in targets}) < len(targets):
            problems.append(Problem(f"upstreams.{name}.targets", "the same address stands there twice"))
        if targets:
            upstreams[name] = msgspec.structs.replace(upstream, targets=tuple(targets))
    jwks = config.jwks
    place = _PLACE.match(jwks) if jwks else None
    if jwks and place:
        found = urls.get(place[1], ())
        jwks = found[0] + jwks[place.end() :] if found else None
        if not found:
            problems.append(Problem("jwks", f"there is no address of {place[1]}"))
    routes = tuple(route for route in config.routes if route.upstream in upstreams)
    return msgspec.structs.replace(config, upstreams=upstreams, routes=routes, jwks=jwks), problems
