"""`uv run playground`: serve; `uv run playground run`: the whole show, without a server."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
import argparse
import asyncio
import sys

from bookstore.playground.app import create_app
from bookstore.playground.settings import PlaygroundSettings
from bookstore.playground.show import show
from bookstore.service.command import run


def main() -> None:
    """Serve until told to stop, or play the show and exit."""
    parser = argparse.ArgumentParser(prog="playground", description="A client with every protection.")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND")
    verbs.add_parser("run", help="play every scene here, without a server and without the internet")
    if parser.parse_args().verb != "run":
        run("playground", PlaygroundSettings, create_app)
    try:
        sys.exit(0 if asyncio.run(show()) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
