"""Lists as parameters of queries, written quickly.

psycopg writes a list item by item, each through an object that could write anything, after it has looked at
all of them twice for their type: 0.6 ms for the dozen lists of a statement that keeps 32 orders. Numbers and
texts, of which nearly all lists are, are written here in a fifth of that. Their type is left to the query,
which has to name it anyway: `%s::bigint[]`.
"""

from collections.abc import Callable
from decimal import Decimal
from types import NoneType
from typing import Any, Final

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat
from psycopg.types.array import ListDumper


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {int: str, Decimal: str, str: _quoted}
_PLAIN: Final = frozenset({*_WRITERS, NoneType})


class PlainListDumper(ListDumper):
    """Writes plain lists by itself, and leaves all others to psycopg."""

    def get_key(self, obj: list[Any], format: PyFormat) -> Any:  # noqa: A002 - psycopg's name
        """psycopg: how this list is written; itself for "by me"."""
        return self.cls if _PLAIN.issuperset(map(type, obj)) else super().get_key(obj, format)

    def dump(self, obj: list[Any]) -> Any:
        """psycopg: the list as PostgreSQL reads it."""
        if self.sub_dumper is not None:
            return super().dump(obj)
        items = ["NULL" if item is None else _WRITERS[type(item)](item) for item in obj]
        return f"{{{','.join(items)}}}".encode(self._tx.encoding)


ADAPTERS: Final = AdaptersMap(psycopg.adapters)
"""How a connection's parameters are written: give it as the `context` of the connection."""
ADAPTERS.register_dumper(list, PlainListDumper)
