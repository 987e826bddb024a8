"""A bookstore with a bug in it: `experiment BUG DEFINITION STATE` breaks it on purpose, as the lab does.

The bug is put into the source of one module while that is imported, in these processes only; the product
has no switch for it.
"""

import argparse
import dataclasses
import functools
import importlib.abc
import importlib.machinery
import runpy
import sys
from pathlib import Path

from bookstore.lab.experiments import command
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.topology import SYSTEM

BUGS = {
    "acknowledged-before-the-commit": (
        "bookstore.orders.store",
        [
            (
                "connection.transaction():\n                orders",
                "connection.transaction(force_rollback=True):\n                orders",
            )
        ],
    ),
    "a-new-key-each-time": (
        "bookstore.orders.queue.supplier",
        [("str(job.order_id).encode()", "f'{job.order_id}-{__import__(\"time\").time_ns()}'.encode()")],
    ),
    "retry-without-budget": (
        "bookstore.orders.queue.link",
        [
            ("attempts=TRIES", "attempts=40"),
            ("TRIES + 3.0", "TRIES + 30.0"),
            ("min_calls=10", "min_calls=10**6"),
            ("consecutive=8", "consecutive=10**6"),
        ],
    ),
    "breaker-that-never-opens": (
        "bookstore.orders.queue.link",
        [("min_calls=10", "min_calls=10**6"), ("consecutive=8", "consecutive=10**6")],
    ),
    "monitor-that-lies": (
        "bookstore.monitor.health.model",
        [('UNREACHABLE: Final = Judgement("DOWN"', 'UNREACHABLE: Final = Judgement("HEALTHY"')],
    ),
    "no-fence": (
        "bookstore.orders.life",
        [
            ("o.status = 'Processing'", "true"),
            ("AND l.finished_at IS NULL", ""),
            ("AND l.token = asked.token", ""),
        ],
    ),
}
"""Which module, and what in it is replaced by what."""


class Spoiler(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, with its bug."""

    def __init__(self, bug):
        self.module, self.changes = BUGS[bug]

    def find_spec(self, name, path, _target=None):
        if name != self.module:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        return importlib.machinery.ModuleSpec(name, self, origin=found.origin)

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        source = Path(module.__spec__.origin).read_text()
        for good, bad in self.changes:
            assert good in source, f"{self.module} no longer says {good!r}"
            source = source.replace(good, bad)
        exec(compile(source, module.__spec__.origin, "exec"), module.__dict__)  # noqa: S102 - our own, with a bug


def serve(bug, module, *words):
    """Be a service with a bug."""
    sys.meta_path.insert(0, Spoiler(bug))
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def experiment(bug, definition, state):
    """Run an experiment against a system with a bug; the exit code is the verdict's."""
    package = ".".join(BUGS[bug][0].split(".")[:2])
    services = tuple(
        dataclasses.replace(each, run=(__file__, "serve", bug, each.run[1]))
        if each.run and each.run[1].startswith(package)
        else each
        for each in SYSTEM.services
    )
    buggy = dataclasses.replace(SYSTEM, services=services)
    command.running = functools.partial(command.running, topology=buggy)
    asked = argparse.Namespace(
        deed="run", names=[definition], all=False, tag=None, port_base=None, progress="text"
    )
    return command.experiment(asked, StateFolder(Path(state)))


if __name__ == "__main__":
    sys.exit({"serve": serve, "experiment": experiment}[sys.argv[1]](*sys.argv[2:]))
