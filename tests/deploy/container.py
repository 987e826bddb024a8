"""An image without Docker: the Dockerfile's steps in a folder, and programs kept to it as in a container."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from dockerfile_rules import DOCKERFILE, ROOT, ancestry, of, stages

STAGES = stages(DOCKERFILE)
USER = "65532"
PLACES = ("/app", "/data")
PYTHON = Path(sys.base_prefix)
"""The Python that is here, in the place of the image's."""
INSIDE = f"""
od -An -N6 -tx1 /dev/urandom | tr -d " " >/proc/sys/kernel/hostname
mount --bind "$0" "$0"
mount -o remount,bind,ro /
mount --bind "$0/app" "$0/app"
mount -o remount,bind,ro "$0/app"
exec setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs \\
    --inh-caps=-all --bounding-set=-all -- "$@"
"""


def context(folder):
    """What reaches a builder: what .dockerignore lets through."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    taken = [line[1:] for line in ignored if line.startswith("!")]
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        parents = [name, *map(str, Path(name).parents)]
        if any(fnmatch.fnmatch(parent, pattern) for parent in parents for pattern in taken):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


class Image:
    """One app's, made in a folder of its own; `size` is that of its environment, in bytes."""

    def __init__(self, folder, **arguments):
        self.folder = folder
        folder.chmod(0o755)
        self.sources, manifests = folder / "sources", folder / "manifests"
        self.sources.mkdir()
        context(self.sources)
        shutil.copytree(self.sources, manifests)
        for text in of(STAGES["manifests"], "RUN"):
            subprocess.run(["bash", "-euc", text], cwd=manifests, check=True)
        (folder / "app").mkdir()
        variables = {
            **os.environ,
            **self._settings(STAGES["build"], arguments),
            "UV_PYTHON": str(PYTHON / "bin" / "python3"),
        }
        before = self._listed()
        for text in of(STAGES["build"], "RUN"):
            place = manifests if "from=manifests" in text else self.sources
            command = self._here(re.sub(r"--mount=\S+", "", text))
            subprocess.run(
                ["bash", "-euc", command], cwd=place, env=variables, check=True, capture_output=True
            )
        assert self._listed() == before, "a build writes to what is mounted"
        if os.geteuid() == 0:
            os.chown(folder / "data", int(USER), int(USER))
        (folder / "python").mkdir()
        (folder / "tmp").mkdir(mode=0o777)
        (folder / "tmp").chmod(0o777)
        self.environment = self._settings(ancestry(STAGES, "image"), arguments) | {
            "HOME": str(folder / "tmp")
        }
        self.size = sum(path.lstat().st_size for path in (folder / "app").rglob("*"))

    def start(self, *words, **settings):
        """A process that has what a container would have; without words the image's entry point."""
        entry = json.loads(of(STAGES["image"], "ENTRYPOINT")[0])
        variables = {"PATH": f"{self.folder}/app/.venv/bin:{os.defpath}", **settings}
        return Process(
            contained(self.folder),
            words or [*map(self._here, entry)],
            cwd=self.folder / "app",
            env={**self.environment, **variables},
        )

    def run(self, *words, **settings):
        """A program's exit code, and what it said."""
        process = self.start(*words, **settings)
        try:
            return process.wait(100), process.said()
        finally:
            process.close()

    def _listed(self):
        return sorted((str(path), path.lstat().st_mtime_ns) for path in self.sources.rglob("*"))

    def _settings(self, stage, arguments):
        """What ARG and ENV come to."""
        found = dict(arguments)
        for word, text in stage:
            if word in {"ARG", "ENV"}:
                for pair in shlex.split(text):
                    name, _, value = pair.partition("=")
                    value = re.sub(r"\$(\w+)", lambda each: found.get(each[1], ""), value)
                    if word == "ENV" or name not in found:
                        found[name] = self._here(value)
        return found

    def _here(self, text):
        for place in PLACES:
            text = re.sub(rf"(?<![\w.]){place}(?=/|\b)", f"{self.folder}{place}", text)
        return text


class Process(subprocess.Popen):
    """A program in there; what it says goes to a file, since a pipe that nobody reads would stop it."""

    def __init__(self, prefix, words, **more):
        self._apart = bool(prefix)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - close() does
        super().__init__(
            [*prefix, *words], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, **more
        )

    def said(self):
        self._log.seek(0)
        return self._log.read()

    def tell(self, number):
        """Send a signal to the program itself, as this side sees it: process 1 in there."""
        if self.poll() is None:
            inside = psutil.Process(self.pid).children() if self._apart else [self]
            for process in inside:
                process.send_signal(number)

    def close(self):
        self.tell(signal.SIGKILL)
        self.wait()
        self._log.close()


def contained(folder):
    """What a command is begun with to be process 1, an ordinary user, and able to write to next to nothing.

    Where nobody may do that: an ordinary user who may not write to the app.
    """
    words = [
        "unshare",
        "--mount",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-ec",
        python_in_reach() + INSIDE,
        str(folder),
    ]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words
    subprocess.run(["chmod", "-R", "a-w", str(folder / "app")], check=True)
    return []


def python_in_reach():
    """Commands that leave nothing of a folder that is only root's, or somebody's, but the Python in it."""
    private = next((each for each in reversed(PYTHON.parents) if not each.stat().st_mode & 0o001), None)
    if private is None:
        return ""
    python = shlex.quote(str(PYTHON))
    return f"""
mount --bind {python} "$0/python"
mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(private))}
mkdir -p {python}
mount --bind "$0/python" {python}
umount "$0/python"
"""
