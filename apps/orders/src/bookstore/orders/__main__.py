"""`uv run orders`: serve orders. `uv run orders queue status`: look after what they are owed."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
import sys


def main() -> None:
    """Serve until told to stop, or do what an operator asks."""
    # ruff: noqa: PLC0415 - an operator's word is done at once, without all that serving needs
    if sys.argv[1:2] == ["queue"]:
        from bookstore.orders.queue import commands

        sys.exit(commands.main(sys.argv[2:]))
    from bookstore.orders.app import create_app
    from bookstore.orders.settings import OrdersSettings
    from bookstore.service.command import run

    run("orders", OrdersSettings, create_app)


if __name__ == "__main__":
    main()
