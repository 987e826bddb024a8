"""`uv run books`: serve the catalogue."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
from bookstore.books.app import create_app
from bookstore.books.settings import ALIASES, BooksSettings
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop."""
    run("books", BooksSettings, create_app, aliases=ALIASES)


if __name__ == "__main__":
    main()
