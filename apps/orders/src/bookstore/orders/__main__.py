"""`uv run orders`: serve orders."""

from bookstore.orders.app import create_app
from bookstore.orders.settings import OrdersSettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop."""
    run("orders", OrdersSettings, create_app)


if __name__ == "__main__":
    main()
