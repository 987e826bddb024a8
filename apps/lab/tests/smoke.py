"""What the wheel must do by itself, with nothing beside it but what it depends on."""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version


def bookstore(*words):
    command = [sys.executable, "-W", "error", "-m", "bookstore.lab", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    assert bookstore("--version") == f"bookstore {version('bookstore-lab')}\n"
    with tempfile.TemporaryDirectory() as folder:
        state = ("--state", f"{folder}/state")
        assert json.loads(bookstore("experiment", "list", "--json", *state))
        assert "004" in bookstore("scenario", "list", *state)
