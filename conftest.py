"""A run of everything is spread over processes; a run of what was named isn't, so that it can be debugged."""

import fcntl
import gc
import itertools
import os
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any, Final

import pytest

# Many images set this. Here hundreds of processes start, and each would compile all that it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_PAUSE: Final = 0.01
"""Seconds between two looks for a free seat."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """As if `-n` and `--dist` had been said. Two processes for each core, since tests mostly wait."""
    one_of_them = hasattr(config, "workerinput")
    named = config.args_source is not config.ArgsSource.TESTPATHS
    if not (one_of_them or named or config.option.usepdb) and config.option.numprocesses is None:
        config.option.numprocesses = 2 * (os.cpu_count() or 1)
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


SHARE_THE_SYSTEM = {
    "tests/orders/test_guides.py",
    "tests/test_contracts.py",
    "tests/test_door.py",
    "tests/test_hostile.py",
    "tests/test_lifecycle.py",
    "tests/test_observe.py",
    "tests/test_people.py",
    "tests/test_problems.py",
    "tests/test_traces.py",
}
"""Files that ask for the fixture `bookstore`: each process that has one of them starts a system."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler of `--dist loadfile`, to which the files above are one.

    A file whose tests don't stand together, as some of them want quiet, is handed out in pieces.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - a member alone is tested without it

    class ByFile(LoadFileScheduling):
        def __init__(self, config: pytest.Config, log: Any) -> None:
            super().__init__(config, log)
            self._scopes: dict[str, str] = {}
            self._pieces: Counter[str] = Counter()
            self._before = ""

        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            if file in SHARE_THE_SYSTEM:
                return "the running system"
            if nodeid not in self._scopes:  # it is asked for all of them once, in their order
                self._pieces[file] += file != self._before
                self._before = file
                self._scopes[nodeid] = f"{file}, piece {self._pieces[file]}"
            return self._scopes[nodeid]

        def remove_node(self, node: Any) -> str | None:
            """Hand out anew what a process that died left undone, but not the test that it died of.

            Files that it had finished would be handed out too. A process that gets one has nothing to do with
            it, says nothing, gets nothing more, and the run waits for ever.
            """
            left = self.assigned_work[node]
            undone = [
                (file, test) for file, tests in left.items() for test, done in tests.items() if not done
            ]
            if not undone:
                return super().remove_node(node)
            file, died_of = undone[0]
            left[file][died_of] = True
            for file in [file for file, tests in left.items() if all(tests.values())]:
                del left[file]
            super().remove_node(node)
            return died_of

    return ByFile(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with files that want quiet, while nothing is under way that would have to be waited for.

    The packages' short tests come next, then what takes longest, the files of the whole system: else one
    process is left with those.
    """
    if not hasattr(config, "workerinput"):
        return
    root = config.rootpath
    quiet = {item.path for item in items if _wants_quiet(item)}
    items.sort(
        key=lambda item: (
            item.path not in quiet,
            not _wants_quiet(item),
            not item.path.is_relative_to(root / "packages"),
            item.path != root / "tests" / "test_docs.py",
            item.path.parent != root / "tests",
        )
    )


def pytest_collection_finish() -> None:
    """What is collected stays: a look through it for garbage holds a test up by a quarter of a second."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run what is marked `quiet` with one other such test beside it at most, all else beside each other.

    Its promises hold on a machine with room for it, and the other processes of this very run take that room.
    Waiting doesn't count for the test's timeout. Who dies holds nothing any more.
    """
    if not hasattr(item.config, "workerinput"):
        return (yield)
    root = item.config.rootpath
    door, seats = root / "conftest.py", (root, root / "pyproject.toml")
    with ExitStack() as stack:
        if _wants_quiet(item):
            # Whoever waits for a seat keeps all others from coming in, so that the seats get free.
            stack.enter_context(_locked(door, fcntl.LOCK_SH))
            stack.enter_context(_one_locked(seats))
        else:
            with _locked(door, fcntl.LOCK_EX):
                for seat in seats:
                    stack.enter_context(_locked(seat, fcntl.LOCK_SH))
        return (yield)


def _wants_quiet(item: pytest.Item) -> bool:
    return item.get_closest_marker("quiet") is not None


@contextmanager
def _locked(path: Path, how: int) -> Generator[None]:
    """Hold a lock on a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        try:
            yield
        finally:
            # By word: a child may hold a copy of the open file.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def _one_locked(paths: Sequence[Path]) -> Generator[None]:
    """Hold a lock on one of these alone, whichever is free first."""
    with ExitStack() as stack:
        for path in itertools.cycle(paths):
            with suppress(BlockingIOError):
                stack.enter_context(_locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
                break
            sleep(_PAUSE)
        yield
