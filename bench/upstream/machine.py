"""Child processes, ports, and what the kernel knows of a process."""

import contextlib
import os
import random
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

MEBI = 1 << 20
SCRIPT = Path(__file__).parents[1] / "upstream_client.py"


def child(*args: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, SCRIPT, *args], stdout=subprocess.PIPE)
    if process.stdout:
        process.stdout.readline()
    return process


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | str = "self") -> float:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / MEBI


def wait_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that are all free."""
    while True:
        first = random.randrange(20000, 30000)  # noqa: S311
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
