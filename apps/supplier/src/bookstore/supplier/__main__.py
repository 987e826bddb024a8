"""`uv run supplier`: serve the supplier."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
from bookstore.service.command import run
from bookstore.supplier.app import create_app
from bookstore.supplier.settings import SupplierSettings


def main() -> None:
    """Serve until told to stop."""
    run("supplier", SupplierSettings, create_app)


if __name__ == "__main__":
    main()
