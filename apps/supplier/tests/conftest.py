"""A supplier as it is served, and clients that see each byte and how each connection ends."""

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx
import pytest

from bookstore.service.testing import eventually, serving
from bookstore.supplier.app import create_app
from bookstore.supplier.settings import SupplierSettings

PATIENCE = 15.0


def free_port():
    """A free port below those that the system hands out, where nobody meets himself by calling too early."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def request(order=1, *headers, body=None, path="/validate", method="POST"):
    """A request as bytes."""
    if body is None:
        body = json.dumps({"order_id": order, "items": [{"book_id": 1, "quantity": 2}]})
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: supplier.example", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass
class Reply:
    """What came back, and how the connection was after it: `open`, `closed` or `reset`."""

    raw: bytes
    ending: str
    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self):
        head, _, self.body = self.raw.partition(b"\r\n\r\n")
        if head:
            lines = head.decode("latin-1").split("\r\n")
            self.status = int(lines[0].split(" ")[1])
            self.headers = dict(line.split(": ", 1) for line in lines[1:])

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def is_whole(self):
        return len(self.body) == int(self.headers["content-length"])


class Client:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def reply(self, *, bodiless=False):
        """One answer: up to its announced end, or to the end of the connection."""
        raw = b""
        while True:
            head, blank, body = raw.partition(b"\r\n\r\n")
            if blank:
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                if bodiless or (length and len(body) >= int(length)):
                    return Reply(raw, "open")
            try:
                # One byte at a time behind the head, so as to leave the next answer where it is.
                piece = self.socket.recv(1)
            except ConnectionResetError:
                return Reply(raw, "reset")
            if not piece:
                return Reply(raw, "closed")
            raw += piece

    def rest(self):
        """All that still comes, and how it ends."""
        raw = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                raw += piece
            return Reply(raw, "closed")
        return Reply(raw, "reset")

    def has_nothing(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.socket.close()


class Supplier:
    """Both ports of a supplier."""

    def __init__(self, port, control, loop=None):
        self.port = port
        self.control = control
        self.loop = loop
        self._clients = []

    def connect(self):
        self._clients.append(Client(self.port))
        return self._clients[-1]

    def ask(self, *arguments, **more):
        """One request on a connection of its own."""
        return self.connect().send(request(*arguments, **more)).reply()

    request = staticmethod(request)

    def mode(self, mode, **parameters):
        answer = self.control.post("/set_failure_mode", json={"mode": mode, **parameters})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def count(self, order):
        """(effects, calls) of an order."""
        found = self.control.get("/effects", params={"order_id": order}).json()["orders"].get(str(order))
        return (found["effects"], found["calls"]) if found else (0, 0)

    def is_refused(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return True
        return False

    def tasks(self):
        """How many tasks its loop has."""
        return len(asyncio.all_tasks(self.loop))

    def hang_up(self):
        for client in self._clients:
            client.close()
        self._clients.clear()


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture():
    return eventually


@pytest.fixture(scope="session")
def running():
    """One supplier for all tests that leave it as they found it."""
    port = free_port()
    made = Supplier(port, None)

    def create():
        made.loop = asyncio.get_running_loop()
        return create_app(SupplierSettings(port=port, access_log=False, drain_finish=2, max_body=100_000))

    with serving(create) as url, httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as control:
        made.control = control
        yield made


@pytest.fixture
def supplier(running):
    """It, in mode normal."""
    running.mode("normal")
    yield running
    running.hang_up()
    running.mode("normal")


_orders = iter(range(1000, 10**9))


@pytest.fixture
def order():
    """An order that nobody has asked about yet."""
    return next(_orders)


@pytest.fixture
def orders():
    """As many of them as one likes."""
    return _orders


class Process:
    """A supplier as a program of its own."""

    def __init__(self, *before, **settings):
        self.port, control = free_port(), free_port()
        self.supplier = None
        self._control = f"http://127.0.0.1:{control}"
        given = {"PORT": str(self.port), "CONTROL_PORT": str(control), "DRAIN_ANNOUNCE": "0", **settings}
        self.popen = subprocess.Popen(
            [*before, sys.executable, "-m", "bookstore.supplier"],
            env={"PATH": os.environ["PATH"], **given},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self):
        """The supplier behind it, as soon as it answers."""
        control = httpx.Client(base_url=self._control, timeout=PATIENCE, trust_env=False)
        while True:
            assert self.popen.poll() is None, self.popen.stderr.read()
            with contextlib.suppress(httpx.TransportError):
                control.get("/health/live")
                self.supplier = Supplier(self.port, control)
                return self.supplier
            time.sleep(0.02)

    def ended(self):
        """Its exit code, and what it said on standard error."""
        _, said = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, said

    def kill(self):
        if self.supplier:
            self.supplier.hang_up()
            self.supplier.control.close()
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.stderr.close()
        self.popen.wait()


@pytest.fixture
def start():
    processes = []

    def start(*before, **settings):
        processes.append(Process(*before, **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.fixture(scope="session")
def of():
    """The bytes of a request."""
    return request
