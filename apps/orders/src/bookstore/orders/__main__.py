"""`uv run orders`: serve orders. `uv run orders queue status`: look after what they are owed."""

import sys

from bookstore.orders.app import create_app
from bookstore.orders.queue import commands
from bookstore.orders.settings import OrdersSettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop, or do what an operator asks."""
    if sys.argv[1:2] == ["queue"]:
        sys.exit(commands.main(sys.argv[2:]))
    run("orders", OrdersSettings, create_app)


if __name__ == "__main__":
    main()
