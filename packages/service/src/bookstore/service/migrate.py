"""Brings a database to a package's newest revision: `python -m bookstore.service.migrate bookstore.books`.

The URL comes on standard input, where no list of processes shows the password in it.
"""

import importlib.resources
import sys
import zlib

import psycopg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import create_engine, text
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


if __name__ == "__main__":
    upgrade(sys.argv[1], sys.stdin.read().strip())
