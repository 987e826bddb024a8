"""Faults of Redis that its own commands make."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import psutil

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.stores.redis import redis_command

MARK = "bookstore:lab:mark"
STREAMS = ("bookstore:validations", "bookstore:settlements")
GROUP = "workers"
PAUSE_PROOF = 0.3


async def redis_flush() -> None:
    """FLUSHALL: everything in it is gone, streams and groups too."""
    before = await _say("DBSIZE")
    await _say("SET", MARK, "1")
    await _say("FLUSHALL")
    left = await _say("EXISTS", MARK)

    async def proof() -> tuple[bool, str]:
        return left == ":0", f"of {before.lstrip(':')} keys and our mark {left.lstrip(':')} marks were left"

    BENCH.get().bites.append(Bite("FLUSHALL", proof))


async def redis_pause(seconds: float) -> None:
    """CLIENT PAUSE: connections stay open, no command is answered for a while."""
    # A pause that ran out unseen would prove nothing: it is seen now.
    await _say("CLIENT", "PAUSE", str(round(seconds * 1000)))
    began = time.monotonic()
    try:
        await _say("PING", timeout=PAUSE_PROOF)
        silent = False
    except OSError:
        silent = True

    async def proof() -> tuple[bool, str]:
        return silent, f"a PING wasn't answered within {PAUSE_PROOF} s: {silent}"

    async def until_over() -> None:
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))

    bench = BENCH.get()
    bench.kept["the pause of Redis"] = until_over
    bench.bites.append(Bite(f"CLIENT PAUSE for {seconds:g} s", proof))


async def redis_kill_clients() -> None:
    """CLIENT KILL: all connections but ours are closed."""
    killed = await _say("CLIENT", "KILL", "TYPE", "normal")

    async def proof() -> tuple[bool, str]:
        return killed.startswith(":") and killed != ":0", f"{killed.lstrip(':')} connections were closed"

    BENCH.get().bites.append(Bite("CLIENT KILL", proof))


async def redis_destroy_groups() -> None:
    """XGROUP DESTROY: the workers' groups are gone, and with them what was pending."""
    answers = [await _say("XGROUP", "DESTROY", stream, GROUP) for stream in STREAMS]

    async def proof() -> tuple[bool, str]:
        return ":1" in answers, f"groups destroyed: {answers.count(':1')} of {len(STREAMS)}"

    BENCH.get().bites.append(Bite("XGROUP DESTROY", proof))


async def redis_shutdown() -> None:
    """SHUTDOWN NOSAVE: it ends and forgets; the supervisor starts it again, empty."""
    process = BENCH.get().process("redis")
    # Its answer is that it is gone.
    with suppress(OSError):
        await _say("SHUTDOWN", "NOSAVE")

    async def proof() -> tuple[bool, str]:
        return not process.alive, f"redis (pid {process.pid}): alive is {process.alive}"

    BENCH.get().bites.append(Bite("SHUTDOWN", proof))


async def redis_disk_full() -> None:
    """No file of Redis' can grow any more, as on a full disk; nobody else notices.

    It is the kernel's limit of a file's size that is lowered, for this process alone, and raised again.
    """
    bench = BENCH.get()
    process = bench.process("redis")
    await _limit_files(process.pid, "0")

    async def free() -> None:
        if process.alive:
            await _limit_files(process.pid, "unlimited")

    async def proof() -> tuple[bool, str]:
        answer = await _say("SET", MARK, "1")
        return answer.startswith("-MISCONF"), f"redis was told something, and said {answer[:40]!r}"

    bench.kept["the disk of redis"] = free
    bench.bites.append(Bite("disk full for redis", proof))


async def _limit_files(pid: int, size: str) -> None:
    """Set how large a process's files may become. Who owns it may do that, and root may not everywhere."""
    owner = psutil.Process(pid)
    limiting = await asyncio.create_subprocess_exec(
        "prlimit",
        *("--pid", str(pid), f"--fsize={size}:"),
        user=owner.uids().real,
        group=owner.gids().real,
    )
    if await limiting.wait():
        raise OSError(f"the files of process {pid} can't be limited")


async def _say(*words: str, timeout: float = 1.0) -> str:  # noqa: ASYNC109 - a socket's
    url = BENCH.get().url("redis")
    return await asyncio.to_thread(redis_command, url, *words, timeout=timeout)
