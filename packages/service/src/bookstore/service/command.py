"""The command of an app: `uv run books`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from bookstore.service import logs
from bookstore.service.app import Service
from bookstore.service.port import PortUnavailable
from bookstore.service.serve import serve
from bookstore.service.settings import Settings, SettingsError, load

EXIT_SETTINGS = 2
EXIT_PORT = 3

S = TypeVar("S", bound=Settings)


def run(
    name: str, kind: type[S], create_app: Callable[[S], Service], *, aliases: Mapping[str, str] | None = None
) -> None:
    """Read the settings, build the app, serve it; say on standard error what stands in the way.

    It takes no words but `--help`: who says more (`books --port 80`) is told so, and nothing starts.
    """
    _parser(name, kind).parse_args()
    try:
        settings = load(kind, name, aliases=aliases)
        service = create_app(settings)
        logs.configure(name, service.instance, settings.log_level)
        runner = asyncio.Runner(loop_factory=_loop_factory())
        runner.run(serve(service))
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"{name}: {problem}\n")
        sys.exit(EXIT_SETTINGS)
    except PortUnavailable as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(EXIT_PORT)
    # All that was open is closed. Requests that outlived the drain may still hold the loop: they end here.
    sys.stdout.flush()
    os._exit(0)


def _parser(name: str, kind: type[Settings]) -> argparse.ArgumentParser:
    told = [
        f"  {field.name.upper()}{' (must be given)' if field.required else ''}"
        for field in msgspec.structs.fields(kind)
        if field.name != "otel"
    ]
    return argparse.ArgumentParser(
        prog=name,
        description="Serves until SIGTERM or Ctrl-C.",
        epilog="\n".join(
            [
                "settings, from the environment or the file .env (what each is for: .env.example):",
                *told,
                "  OTEL_* (traces)",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
