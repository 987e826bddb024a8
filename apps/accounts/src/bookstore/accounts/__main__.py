"""`uv run accounts`: serve; with words after it, run a command."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
import sys

from bookstore.accounts import commands
from bookstore.accounts.app import create_app
from bookstore.accounts.settings import AccountsSettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop, or do what the command line says."""
    if len(sys.argv) > 1:
        sys.exit(commands.main(sys.argv[1:]))
    run("accounts", AccountsSettings, create_app)


if __name__ == "__main__":
    main()
