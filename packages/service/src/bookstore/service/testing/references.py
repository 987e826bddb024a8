"""References that a schema declares and doesn't enforce (decision 0039): in tests they hold."""

import psycopg
from psycopg import sql


def unenforced(url: str) -> set[str]:
    """The names of those in this database."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT conenforced")
        return {name for (name,) in rows.fetchall()}


def enforce(url: str) -> None:
    """Enforce them all, for rows that are there already too.

    Raises:
        psycopg.errors.ForeignKeyViolation: one of these refers to nothing.
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE contype = 'f' AND NOT conenforced"
        )
        for table, name in rows.fetchall():
            alter = sql.SQL("ALTER TABLE {} ALTER CONSTRAINT {} ENFORCED")
            connection.execute(alter.format(sql.Identifier(table), sql.Identifier(name)))
