"""Brings a database to a package's newest revision: `python -m bookstore.service.migrate bookstore.books`.

The URL comes on standard input, where no list of processes shows the password in it. A job of its own, whose
standard input is empty, has it in `DATABASE_URL`, as the service has. Without a package, standard input has
lines of a package and a URL: one process for many databases.
"""

import importlib.resources
import os
import sys
import zlib

import psycopg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

_NO_LIMITS = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
"""What is right for a request's statement may be too little for a migration's."""


def upgrade(package: str, url: str) -> None:
    """Run every migration that `package` has and the database at `url` hasn't."""
    with importlib.resources.as_file(importlib.resources.files(package) / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes.update(package=package, url=url)
        command.upgrade(config, "head")


def run() -> None:
    """What a package's `migrations/env.py` calls: all steps in one transaction, one process at a time."""
    attributes = context.config.attributes
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(attributes["url"], options=_NO_LIMITS),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            # Replicas start together: the second waits here, then finds nothing left to do.
            key = zlib.crc32(attributes["package"].encode())
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            context.run_migrations()


def main() -> None:
    """Do it; a database that can't be used is told in one line, and by exit code 1.

    Whoever dies half-way has done nothing: all steps are one transaction. It can be run again at any time.
    """
    typed = "" if sys.stdin.isatty() else sys.stdin.read().strip()
    if sys.argv[1:]:
        _bring(sys.argv[1], typed or os.environ.get("DATABASE_URL", ""))
        return
    for line in typed.splitlines():
        _bring(*line.split())


def _bring(package: str, url: str) -> None:
    if not url:
        sys.exit(f"{package}: no database is named, on standard input or in DATABASE_URL")
    try:
        upgrade(package, url)
    except OperationalError as error:
        sys.exit(f"{package}: {' '.join(str(error.orig).split())}")


if __name__ == "__main__":
    main()
