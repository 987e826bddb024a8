import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def toy():
    """A server in a process of its own, which can be frozen."""
    with subprocess.Popen(
        [sys.executable, "-I", Path(__file__).with_name("toy.py")], stdout=subprocess.PIPE, text=True
    ) as process:
        process.url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        yield process
        process.kill()
