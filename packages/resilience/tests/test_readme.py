"""Each example of the README runs as it stands, with nothing but what it says itself."""

import ast
import inspect
import logging
import re
from pathlib import Path

import pytest

from bookstore.resilience.redis import RedisLimits

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(?!text)(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
EXAMPLES = {f"example {n}": code for n, (kind, code) in enumerate(BLOCKS, 1) if kind == "python"}
FILES = dict(re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```", README, re.DOTALL | re.MULTILINE))
"""What is to be saved before an example is run, by its name."""

REDIS = "redis://localhost:6379"


@pytest.fixture
def _logging_as_before():
    """An application of Litestar's takes the root logger over, for good; the next test wants its own back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(tmp_path, monkeypatch, request):
    """Runs an example as `python -m asyncio` does, and gives its names.

    The test's own Redis stands in, and is late rather than away when the machine is busy.
    """
    monkeypatch.setitem(RedisLimits.__init__.__kwdefaults__, "timeout", 20.0)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)

    async def run(code):
        if REDIS in code:
            code = code.replace(REDIS, request.getfixturevalue("redis_url"))
        names = {"__name__": "readme"}
        result = eval(compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - our own README
        if inspect.isawaitable(result):
            await result
        return names

    return run


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("example", EXAMPLES)
async def test_examples_run(example, run, capsys):
    code = EXAMPLES[example]
    names = await run(code)
    assert {names.get("copies", 3), names.get("answer", 3)} == {3}
    if "decision" in names:
        assert names["decision"].allowed
        assert not names["decision"].degraded  # there was a Redis, and it was asked
    assert ("print(lease" in code) == ("http://" in capsys.readouterr().out)


def test_nothing_was_left_out():
    assert (len(EXAMPLES), list(FILES)) == (12, ["policies.toml"])
    assert len(EXAMPLES) + len(FILES) == len(BLOCKS)
    assert sum(REDIS in code for code in EXAMPLES.values()) == 1
