"""The examples of the README run, from top to bottom."""

import ast
import inspect
import json
import logging
import re
import textwrap
from pathlib import Path

import pytest

from bookstore.resilience.testing import FakeClock

from .far import reply

README = Path(__file__).parents[1] / "README.md"


class Shop:
    async def copies(self, _isbn):
        return 3


class Redis:
    async def evalsha(self, _sha, _count, _key, question):
        return reply(json.loads(question)[3], 99, 0, 600_000, 0)


@pytest.fixture
def _logging_as_before():
    """An application of Litestar's takes the root logger over, for good; the next test wants its own back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_logging_as_before")
async def test_examples_run(capsys):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    names = {"shop": Shop(), "redis": Redis(), "__name__": "readme"}
    ran = 0
    for language, text in blocks:
        if language == "toml":
            names["settings"] = text
            continue
        code = compile(textwrap.dedent(text), "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)  # noqa: S307 - our own README
        if inspect.isawaitable(result):
            await result
        ran += 1
    assert ran >= 12
    assert names["copies"] == names["answer"] == 3
    assert isinstance(names["clock"], FakeClock)
    assert "http://" in capsys.readouterr().out
