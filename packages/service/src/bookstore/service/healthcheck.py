"""Whether the service on this machine is ready: `python -m bookstore.service.healthcheck [PORT]`.

For a container, which has no curl. It runs every few seconds beside every service, so it needs nothing but
the standard library, and little of that. The port is the one that is named, else `PORT`, else the one by
default of the app that `BOOKSTORE_APP` names.
"""

import os
import re
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

PATIENCE = 2.0
"""Seconds; a dependency has one of them to answer the service."""

_REQUEST = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_READY = b"HTTP/1.1 200"
_DEFAULT = re.compile(r"^    port: Port = (\d+)$", re.MULTILINE)


def ask(port: int, patience: float = PATIENCE) -> bytes:
    """The first line of the answer.

    Raises:
        OSError: nobody is there, or says anything in time.
    """
    until = monotonic() + patience
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(_REQUEST)
        while b"\r\n" not in said:
            connection.settimeout(max(until - monotonic(), 0.001))
            piece = connection.recv(4096)
            if not piece:
                raise ConnectionResetError("the connection was closed without an answer")
            said += piece
    return said.partition(b"\r\n")[0]


def default_port(app: str) -> int:
    """What the app's settings say, read as text: importing them takes thirty times as long as all of this.

    Raises:
        ImportError: there is no such app here.
        LookupError: it has no port by default.
    """
    spec = find_spec(f"bookstore.{app}.settings")
    found = _DEFAULT.search(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else None
    if found is None:
        raise LookupError(app)
    return int(found[1])


def main() -> None:
    """Ask, say what was said, and exit with 0 if the service is ready."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT")
    try:
        line = ask(int(named) if named else default_port(os.environ.get("BOOKSTORE_APP", "")))
    except (OSError, ValueError, ImportError, LookupError) as error:
        sys.exit(f"not ready: {error or type(error).__name__}")
    sys.stdout.write(line.decode("latin-1") + "\n")
    sys.exit(0 if line.startswith(_READY) else 1)


if __name__ == "__main__":
    main()
