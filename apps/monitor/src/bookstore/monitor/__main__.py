"""`uv run monitor`: watch, and serve what is seen."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
from bookstore.monitor.app import create_app
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop."""
    run("monitor", MonitorSettings, create_app)


if __name__ == "__main__":
    main()
