"""What a container asks itself: ready or not, by the exit code, at once and with next to nothing."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from bookstore.service.healthcheck import ask, default_port

READY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
PAUSE = 0.05
"""Seconds between pieces, so that they come as such; who is slower sees less, and no test fails of it."""
DRAINING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def somebody(*pieces, hold=False):
    """A port where each caller is told these pieces, and is then left alone if `hold`."""
    done = threading.Event()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                for piece in pieces:
                    connection.sendall(piece)
                    done.wait(PAUSE if len(pieces) > 1 else 0)
                if hold:
                    done.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def check(*words, **settings):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "bookstore.service.healthcheck", *words],
        env={name: value for name, value in os.environ.items() if name != "PORT"} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("said", "code"), [(READY, 0), (DRAINING, 1), (b"HTTP/1.1 404 Not", 1), (b"", 1)])
def test_the_exit_code_tells(said, code):
    with somebody(said) as port:
        named, found = check(str(port)), check(PORT=str(port))
    assert (named.returncode, found.returncode) == (code, code)
    assert named.stdout or "closed without an answer" in named.stderr


def test_an_answer_in_pieces_is_read_to_the_end_of_its_line():
    with somebody(b"HTTP/1.", b"1 200", b" OK\r\n") as port:
        assert ask(port) == b"HTTP/1.1 200 OK"


def test_who_says_nothing_is_not_waited_for():
    with somebody(hold=True) as port, pytest.raises(TimeoutError):
        ask(port, patience=0.1)


def test_nobody_there_is_not_ready():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    checked = check(str(port))
    assert (checked.returncode, len(checked.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("settings", [{}, {"PORT": "many"}, {"BOOKSTORE_APP": "nobody"}])
def test_who_does_not_know_where_to_ask_says_so(settings):
    checked = check(**settings)
    assert checked.returncode == 1
    assert checked.stderr.startswith("not ready: ")


def test_the_default_is_the_one_in_the_settings(tmp_path, monkeypatch):
    folder = tmp_path / "bookstore" / "shelves"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "settings.py").write_text("class S:\n    port: Port = 8999\n    admin_port: Port = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert default_port("shelves") == 8999


def test_nothing_but_the_standard_library_is_loaded():
    """It is started every few seconds, beside every service."""
    program = "import bookstore.service.healthcheck, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in told.split()} - sys.stdlib_module_names
    assert {name for name in loaded if not name.startswith(("_", "bookstore"))} <= {"sitecustomize"}
