"""Who says `up` while a start goes on, finds the system that comes of it."""

import os
import signal
from types import SimpleNamespace

import pytest

from bookstore.lab.system import lifecycle
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.record import Record
from bookstore.stores.process import ProcessId


@pytest.fixture
def heard():
    """The signals with which a supervisor is asked to start what has ended; it is this process."""
    signals = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGUSR1, before)


def test_only_the_supervisor_is_asked_and_not_who_started_it(monkeypatch, tmp_path, orphan, heard):
    """`up --detach` signs the lock, then the process apart does; the first would die of the signal."""
    folder = StateFolder(tmp_path / "state")
    folder.open()
    phases = iter(["starting", "running", "running"])

    def sign(process):
        (folder.path / "supervisor").write_text(f"{process.pid} {process.started}")

    def read(_path):
        sign(ProcessId.of(os.getpid()))
        return Record(phase=next(phases), since=0.0, rows=[])

    sign(orphan)
    monkeypatch.setattr(lifecycle, "Record", SimpleNamespace(read=read))
    lifecycle.join(folder)
    assert (heard, orphan.alive) == ([signal.SIGUSR1], True)
