"""For migrations: references that a schema declares, and that PostgreSQL doesn't look up for each row.

Before 18 PostgreSQL can't leave one unenforced; there they stay enforced, which is slower and no less right.
"""

from typing import Final

from alembic import op

_FIRST: Final = (18,)


def leave_unenforced(table: str, constraint: str) -> None:
    """Have this reference declared only."""
    _alter(table, constraint, "NOT ENFORCED")


def enforce(table: str, constraint: str) -> None:
    """Have it looked up again, for all rows that there are as well."""
    _alter(table, constraint, "ENFORCED")


def _alter(table: str, constraint: str, how: str) -> None:
    version = op.get_bind().dialect.server_version_info or ()
    if version >= _FIRST:
        op.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {constraint} {how}")
