"""Programs that a first start needs once: they load while PostgreSQL is being made, and wait for work."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bookstore.stores.process import Program


class Ahead:
    """A program that reads all of its standard input, does what that says, and ends.

    It can be started long before it is known what to say. If its owner dies, its input ends with nothing on
    it, and so does the program.
    """

    def __init__(self, program: Program, *words: str) -> None:
        self._argv: Sequence[str] = [*program.argv, *words]
        self._program = program
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Have it load, unless it has already."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._program.folder,
                env=dict(self._program.environment),
                start_new_session=True,
            )

    async def tell(self, text: str) -> tuple[int, list[str]]:
        """Say what to do, and wait until it is done; gives the exit code and what was said of it."""
        await self.start()
        process = self._process
        assert process is not None  # noqa: S101 - just started
        try:
            output, _ = await process.communicate(text.encode())
        finally:
            self.end()
        return process.returncode or 0, output.decode(errors="replace").splitlines()

    def end(self) -> None:
        """End it, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = None
