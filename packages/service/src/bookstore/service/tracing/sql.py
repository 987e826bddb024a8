"""SQL in spans: what kind of statement on which tables, and never its text, which holds literals."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import psycopg

from bookstore.service.context import recording
from bookstore.service.otlp import encode
from bookstore.service.otlp.encode import CLIENT
from bookstore.service.tracing.span import Recording

_WRITES: Final = re.compile(
    r"\b(INSERT)\s+INTO\s+(\w+)|\b(UPDATE)\s+(\w+)\s|\b(DELETE)\s+FROM\s+(\w+)", re.IGNORECASE
)
_READS: Final = re.compile(r"\bFROM\s+(\w+)", re.IGNORECASE)
_NAMED: Final = re.compile(r"(\w+)(?:\s*\([^()]*\))?\s+AS\s+(?:MATERIALIZED\s+)?\(", re.IGNORECASE)
_LITERALS: Final = re.compile(r"'[^']*'")
_NO_TABLES: Final = frozenset({"unnest", "lateral", "select", "of", "skip", "nowait", "set"})
_MOST_TABLES: Final = 6


def asking(query: str, database: str) -> Recording | None:
    """Begin the span of a statement; None if the request that makes it isn't recorded."""
    parent = recording()
    if parent is None:
        return None
    summary, attributes = _told(query, database)
    span = parent.child(summary, CLIENT)
    span.add(attributes)
    return span


def failed(span: Recording, error: BaseException) -> None:
    """Say of a statement how it failed."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state:
        span.set("db.response.status_code", state)
        span.fail(state)
    else:
        span.fail_with(error)


@lru_cache(maxsize=1024)
def _told(query: str, database: str) -> tuple[str, bytes]:
    operation, tables = summary(query)
    short = " ".join((operation, *tables))
    parts = [
        encode.attribute("db.system.name", "postgresql"),
        encode.attribute("db.namespace", database),
        encode.attribute("db.operation.name", operation),
        encode.attribute("db.query.summary", short),
    ]
    if len(tables) == 1:
        parts.append(encode.attribute("db.collection.name", tables[0]))
    return short, b"".join(parts)


def summary(query: str) -> tuple[str, tuple[str, ...]]:
    """What a statement does, and to which tables: what it writes, else what it reads."""
    query = _LITERALS.sub("''", query)
    named = {match[1].lower() for match in _NAMED.finditer(query)}
    writes = [tuple(part for part in match.groups() if part) for match in _WRITES.finditer(query)]
    writes = [(verb.upper(), table) for verb, table in writes if table.lower() not in _NO_TABLES | named]
    if writes:
        return writes[0][0], _once(table for _, table in writes)
    first = re.match(r"\s*(\w+)", query)
    verb = first[1].upper() if first else "SQL"
    found = (match[1] for match in _READS.finditer(query))
    tables = _once(table for table in found if table.lower() not in _NO_TABLES | named)
    return ("SELECT" if verb == "WITH" else verb), tables


def _once(tables: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tables))[:_MOST_TABLES]
