"""`uv run gateway`: serve the gateway."""

from bookstore.gateway.app import create_app
from bookstore.gateway.settings import GatewaySettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop."""
    run("gateway", GatewaySettings, create_app)


if __name__ == "__main__":
    main()
