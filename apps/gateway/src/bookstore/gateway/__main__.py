"""`uv run gateway`: serve; `uv run gateway check FILE`: see whether it would serve by that file."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
import argparse
import sys
from pathlib import Path

from bookstore.gateway.app import create_app
from bookstore.gateway.config import ConfigError
from bookstore.gateway.gateway import read
from bookstore.gateway.settings import GatewaySettings
from bookstore.service.command import EXIT_SETTINGS, run
from bookstore.service.settings import SettingsError, load


def main() -> None:
    """Serve until told to stop, or check a file."""
    parser = argparse.ArgumentParser(prog="gateway", description="The front door.")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND")
    check = verbs.add_parser("check", help="see whether the gateway would serve by a file")
    check.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.verb == "check":
            _check(arguments.file)
        else:
            run("gateway", GatewaySettings, create_app)
    except (ConfigError, SettingsError) as error:
        for problem in error.problems:
            sys.stderr.write(f"gateway: {problem}\n")
        sys.exit(EXIT_SETTINGS)


def _check(file: Path) -> None:
    config = read(load(GatewaySettings, "gateway"), file)
    services = len(config.upstreams)
    sys.stdout.write(f"{file} is fine: {len(config.routes)} routes to {services} services\n")


if __name__ == "__main__":
    main()
