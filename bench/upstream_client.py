# /// script
# requires-python = ">=3.11"
# dependencies = ["aiohttp>=3.13", "bookstore-service", "granian>=2.8", "pyreqwest>=0.15", "uvloop>=0.23"]
# [tool.uv.sources]
# bookstore-service = { path = "../packages/service", editable = true }
# ///
"""Which HTTP client should carry the traffic between services? Speed and behaviour, side by side.

    uv run bench/upstream_client.py speed       # requests a second behind one Granian process
    uv run bench/upstream_client.py behaviour   # what each client does on real sockets
    uv run bench/upstream_client.py footprint   # import time and memory

Read the ratios, not the absolute numbers: rounds are interleaved, so that all clients meet the same machine.
What came of it is docs/decisions/0005-upstream-http-client.md.
"""

import argparse
import asyncio

from upstream.behaviour import behaviour
from upstream.clients import CLIENTS
from upstream.footprint import footprint, serve_bulk, transfer
from upstream.speed import serve_proxy, serve_upstream, speed


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("speed")
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--seconds", type=float, default=3.0)
    command.add_argument("--connections", type=int, default=32)
    command = commands.add_parser("behaviour")
    command.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    command.add_argument("--client", choices=CLIENTS, action="append")
    command = commands.add_parser("footprint")
    command.add_argument("--client", choices=CLIENTS, action="append")
    for name, arguments in INTERNAL.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
    options = parser.parse_args()
    match options.command:
        case "speed":
            speed(options.rounds, options.seconds, options.connections)
        case "behaviour":
            behaviour(options.client or list(CLIENTS), options.loop)
        case "footprint":
            footprint(options.client or list(CLIENTS))
        case "serve-upstream":
            serve_upstream(int(options.port))
        case "serve-proxy":
            serve_proxy(options.client, int(options.port), options.upstream)
        case "serve-bulk":
            serve_bulk(int(options.port))
        case "transfer":
            asyncio.run(transfer(options.client, options.base, 3200))


INTERNAL = {
    "serve-upstream": ["port"],
    "serve-proxy": ["client", "port", "upstream"],
    "serve-bulk": ["port"],
    "transfer": ["client", "base"],
}

if __name__ == "__main__":
    main()
