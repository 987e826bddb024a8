"""A run of everything is spread over processes; a run of what was named isn't, so that it can be debugged."""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """As if `-n` and `--dist` had been said. One process more than cores, since tests mostly wait."""
    everything = config.args_source is config.ArgsSource.TESTPATHS
    if everything and config.option.numprocesses is None and not config.option.usepdb:
        config.option.numprocesses = (os.cpu_count() or 1) + 1
        config.option.dist = "loadfile"
