"""Settings: a Struct per app, read from the environment and an env file, checked before anything starts.

A field `books_service_url` is the setting `BOOKS_SERVICE_URL`. What is unknown or bad is refused by name;
no value is ever repeated in a message, because values may be secrets.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/:@]+(:\d{1,5})?$")]
PostgresUrl = Annotated[str, Meta(pattern=r"^postgres(ql)?://\S+$")]
DirectUrl = Annotated[str, Meta(pattern=r"^(postgres(ql)?://\S+)?$")]
"""Where the database is past a pooler in transaction mode; empty if there is none."""
_REDIS = (
    (
        # Who says how TLS is to be, but forgot to ask for it, would be without.
        r"((?!redis(\+\w+)?://\S*[?&]ssl_)((rediss?|unix)://\S+"
        r"|rediss?\+cluster://(\S*@)?HOSTS/?(\?\S+)?"
        r"|rediss?\+sentinel://(\S*@)?HOSTS/[^\s/?]+(/\d{1,4})?(\?\S+)?))"
    )
    .replace("HOSTS", r"HOST(,HOST)*")
    .replace("HOST", r"([^\s/:@,?\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
)
RedisUrl = Annotated[str, Meta(pattern=f"^{_REDIS}$")]
"""One server, a cluster, or one that Sentinels look after: see `redis_url`."""
RedisUrlOrNone = Annotated[str, Meta(pattern=f"^{_REDIS}?$")]

_MEANING = {
    "^https?:": "must look like http://host:port, without a path",
    "^(postgres": "must look like postgresql://user:password@host:5432/database, or be empty",
    "^postgres": "must look like postgresql://user:password@host:5432/database",
    "^((?!redis": "must look like redis://host:6379/0, redis+cluster://host:6379,host:6379"
    " or redis+sentinel://host:26379,host:26379/service; with TLS it begins with rediss",
    "^([!-~]{32,": "must have 32 to 200 characters of plain ASCII without blanks, or be empty",
}
_SHARED, _SHARED_PREFIX = "otel", "OTEL_"
"""Variables that belong to every program of the machine, and the field that holds them."""
_ENV_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every app can be told; an app adds its own fields."""

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for all of this machine's."""
    port: Port
    """Where it is served."""
    instance: str = ""
    """Name of this process among its replicas; empty means host name and process id."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""
    access_log: bool = True
    """Whether each request is a line of the log."""
    metrics_enabled: bool = True
    """Whether requests are counted and timed, and `/metrics` tells of it."""
    otel_sdk_disabled: bool = False
    """Whether traces are neither made nor sent, whatever else is said of them."""
    otel: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """All `OTEL_*` variables; `tracing.settings` reads them."""
    max_body: Annotated[int, Meta(ge=0)] = 1_048_576
    """Longest request body in bytes; a longer one is answered 413."""
    drain_announce: Seconds = 3.0
    """How long readiness says 503 before connections are refused, so that balancers move on."""
    drain_finish: Seconds = 10.0
    """How long running requests may go on after that."""


class SettingsError(Exception):
    """The settings can't be used; `problems` holds one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


S = TypeVar("S", bound=Settings)


def load(
    kind: type[S],
    service: str,
    *,
    environ: Mapping[str, str] = os.environ,
    aliases: Mapping[str, str] | None = None,
) -> S:
    """Read `kind` from the environment, which wins, and from the env file.

    The env file is the one that `ENV_FILE` names, else `.env` in the working directory if there is one.
    `aliases` maps other names that people use to a setting's own (`{"BOOKS_DB_DSN": "DATABASE_URL"}`).

    Raises:
        SettingsError: with a line for each setting that is unknown, missing or bad.
    """
    names = {
        field.name.upper(): field.name for field in msgspec.structs.fields(kind) if field.name != _SHARED
    }
    aliases = aliases or {}
    known = {**names, **{alias: names[own] for alias, own in aliases.items()}}

    problems: list[str] = []
    written = _env_file(environ, problems)
    problems += [_unknown(name, known, "the env file") for name in written if not _allowed(name, known)]
    prefix = f"{service.upper()}_"
    problems += [
        _unknown(name, known, "the environment")
        for name in environ
        if name.startswith(prefix) and not name.endswith("_SERVICE_URL") and name not in known
    ]

    given = {
        known[name]: value for source in (written, environ) for name, value in source.items() if name in known
    }
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {
        _SHARED: {
            name: value
            for source in (written, environ)
            for name, value in source.items()
            if name.startswith(_SHARED_PREFIX)
        }
    }
    for field in msgspec.structs.fields(kind):
        if field.name in given:
            try:
                values[field.name] = msgspec.convert(given[field.name], hints[field.name], strict=False)
            except msgspec.ValidationError as error:
                problems.append(f"{field.name.upper()}: {_meaning(str(error))}")
        elif field.required:
            problems.append(_missing(field.name.upper(), environ, known))
    if problems:
        raise SettingsError(problems)
    return kind(**values)


def _allowed(name: str, known: Mapping[str, str]) -> bool:
    return name in known or name.startswith(_SHARED_PREFIX)


def _env_file(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """The file's lines `NAME=value`; quotes round a value are taken off, `#` starts a comment line."""
    named = environ.get("ENV_FILE")
    path = Path(named or ".env")
    if not named and not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"ENV_FILE: {path} can't be read: {error}")
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ENV_LINE.match(line)
        if match is None:
            problems.append(f"{path} line {number}: not of the form NAME=value")
            continue
        name, value = match.groups()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found


def _unknown(name: str, known: Mapping[str, str], where: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{name}: unknown setting in {where}; {hint}"


def _missing(name: str, environ: Mapping[str, str], known: Mapping[str, str]) -> str:
    strangers = [other for other in environ if other not in known]
    near = difflib.get_close_matches(name, strangers, n=1, cutoff=0.85)
    return f"{name}: required, but not set" + (f"; {near[0]} is set, did you mean that?" if near else "")


def _meaning(error: str) -> str:
    for pattern, meaning in _MEANING.items():
        if f"'{pattern}" in error:
            return meaning
    return error.removesuffix(" - at `$`").lower()
