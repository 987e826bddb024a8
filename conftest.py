"""A run of everything is spread over processes; a run of what was named isn't, so that it can be debugged."""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """As if `-n` and `--dist` had been said. Two processes for each core, since tests mostly wait."""
    one_of_them = hasattr(config, "workerinput")
    named = config.args_source is not config.ArgsSource.TESTPATHS
    if not (one_of_them or named or config.option.usepdb) and config.option.numprocesses is None:
        config.option.numprocesses = 2 * (os.cpu_count() or 1)
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, the files of the whole system: else one process is left with them."""
    if hasattr(config, "workerinput"):
        whole = config.rootpath / "tests"
        items.sort(key=lambda item: (item.path != whole / "test_docs.py", item.path.parent != whole))
