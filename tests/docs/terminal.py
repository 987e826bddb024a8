"""Somebody at a terminal: one shell for all that a page says, so that what was set stays set."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time

from bookstore.lab.system.topology import SYSTEM

PORTS = [*SYSTEM.services, *(door for service in SYSTEM.services for door in service.doors)]
MARK = "--- that was it:"


class Terminal:
    """A shell in a folder. `with` it, so that nothing of it is left.

    Ports that pages name are those that are usual; here they are replaced by those that the system has got.
    """

    def __init__(self, bookstore, folder, **environment):
        self.bookstore = bookstore
        self.environment = bookstore.environment | environment
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.wait()
        self.listener.join()
        self.shell.stdin.close()
        self.shell.stdout.close()

    def _listen(self):
        for line in self.shell.stdout:
            self.lines.put(line)

    def types(self, command, *, patience=100.0):
        """Type a command; gives what came back, and its exit code."""
        self.shell.stdin.write(f"{self.here(command)}\nprintf '\\n%s %s\\n' '{MARK}' $?\n")
        self.shell.stdin.flush()
        said, until = [], time.monotonic() + patience
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no end of it: {command}\n{''.join(said)}") from None
            if line.startswith(MARK):
                return "".join(said).removesuffix("\n"), int(line.removeprefix(MARK))
            said.append(line)

    def here(self, text):
        """What a page says, with the ports that services have here."""
        if not re.search(r"(localhost|127\.0\.0\.1):\d", text):
            return text
        got = {row["name"]: row["url"] for row in self.bookstore.status()["services"]}
        for one in PORTS:
            if (url := got.get(one.name, "")).startswith("http"):
                text = re.sub(
                    rf"(localhost|127\.0\.0\.1):{one.port}\b", rf"\1:{url.rpartition(':')[2]}", text
                )
        return text
