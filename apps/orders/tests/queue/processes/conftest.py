"""Workers in processes of their own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def start_worker(book, redis_url, outside, tmp_path, worker_at):
    """Start a worker in a process of its own; it is killed at the end unless it has ended."""
    started = []

    def start(module="bookstore.orders.queue", **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
        settings = {
            "PORT": str(port), "DATABASE_URL": book.url, "REDIS_URL": redis_url,
            "BOOKS_SERVICE_URL": outside.url, "SUPPLIER_SERVICE_URL": outside.url,
            "WORKER_LEASE": "1", "LEDGER_REPUBLISH": "1", "ACCESS_LOG": "false",
        }  # fmt: skip
        log = Path(tmp_path) / f"worker-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", module],
                env=kept | settings | environment,
                cwd=tmp_path,
                stdout=output,
                stderr=output,
            )
        worker = worker_at(f"http://127.0.0.1:{port}", process, log)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.http.close()
        if worker.process.poll() is None:
            worker.signal(signal.SIGKILL)
            worker.process.wait()
