"""A service as a process: it starts or says why not, and leaves without losing a request."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

import httpx
import pytest

from bookstore.service.testing import soon

both_servers = pytest.mark.parametrize("own_server", ["false", "true"], ids=["Granian", "our own"])

PROGRAM = Path(__file__).with_name("program.py")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    def __init__(self, log, **settings):
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {"PORT": str(self.port), "DRAIN_ANNOUNCE": "1.5", "DRAIN_FINISH": "20", **settings}
        with log.open("w") as out:
            self.popen = subprocess.Popen(
                [sys.executable, PROGRAM],
                env={"PATH": os.environ["PATH"], **given},
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._log = log

    async def ready(self):
        async with httpx.AsyncClient() as client:
            while True:
                assert self.popen.poll() is None, self.popen.stderr.read()
                try:
                    return await client.get(f"{self.url}/health/ready")
                except httpx.ConnectError:
                    await asyncio.sleep(0.02)

    async def ended(self):
        """Its exit code and log lines."""
        _, err = await asyncio.to_thread(self.popen.communicate, timeout=20)
        assert not err
        return self.popen.returncode, [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def start(tmp_path):
    processes = []

    def start(**settings):
        processes.append(Process(tmp_path / f"{len(processes)}.log", **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.popen.kill()
        process.popen.communicate()


@both_servers
async def test_a_drain_announces_itself_finishes_what_runs_and_refuses_what_is_new(start, own_server):
    process = start(OWN_SERVER=own_server)
    await process.ready()
    async with httpx.AsyncClient(base_url=process.url, timeout=10) as client:
        slow = asyncio.create_task(client.get("/slow?seconds=3"))
        await soon(lambda: _is_under_way(client))
        process.popen.send_signal(signal.SIGTERM)
        assert await _until_not_ready(client) == 503
        assert (await client.get("/whoami")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await _until_refused(process.url)
        assert (await slow).json() == {"slept": 3}
    code, lines = await process.ended()
    assert code == 0
    assert "draining" in [line["message"] for line in lines]
    assert "/slow" in [line.get("path") for line in lines]


async def _is_under_way(client):
    """Whether a request runs; those for metrics don't count."""
    return "http_server_active_requests 1.0" in (await client.get("/metrics")).text


async def _until_not_ready(client):
    while (status := (await client.get("/health/ready")).status_code) == 200:
        pass
    return status


async def _until_refused(url):
    async with httpx.AsyncClient() as client:
        while True:
            await client.get(f"{url}/whoami", headers={"Connection": "close"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_both_signals_end_it_in_order(start, number):
    process = start(DRAIN_ANNOUNCE="0")
    await process.ready()
    process.popen.send_signal(number)
    code, lines = await process.ended()
    assert code == 0
    assert lines[-1]["message"] == "stopped"


@both_servers
async def test_a_request_that_never_ends_is_left_behind(start, own_server):
    process = start(DRAIN_ANNOUNCE="0", DRAIN_FINISH="0.5", OWN_SERVER=own_server)
    await process.ready()
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
        endless = asyncio.create_task(client.get("/slow?seconds=60"))
        await soon(lambda: _is_under_way(client))
        started = monotonic()
        process.popen.send_signal(signal.SIGTERM)
        code, lines = await process.ended()
        with pytest.raises(httpx.TransportError):
            await endless
    assert code == 0
    assert monotonic() - started < 5
    assert "left while requests were still running" in [line["message"] for line in lines]


async def test_a_second_signal_hurries_but_an_echo_of_the_first_does_not(start):
    process = start(DRAIN_ANNOUNCE="30", DRAIN_FINISH="30")
    ready = await process.ready()
    assert ready.status_code == 200
    process.popen.send_signal(signal.SIGTERM)
    process.popen.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=process.url) as client:
        started = monotonic()
        while monotonic() - started < 0.7:
            assert (await client.get("/whoami")).status_code == 200
    process.popen.send_signal(signal.SIGTERM)
    code, _ = await process.ended()
    assert code == 0


async def test_a_port_that_is_taken_is_named(start):
    first = start()
    await first.ready()
    second = start(PORT=str(first.port))
    _, err = await asyncio.to_thread(second.popen.communicate, timeout=20)
    assert second.popen.returncode == 3
    assert f"PORT: can't listen on 127.0.0.1:{first.port}: another process listens there" in err


async def test_settings_that_are_wrong_are_named_before_anything_starts(start):
    process = start(PORT="x", PROBE_COLOUR="red")
    _, err = await asyncio.to_thread(process.popen.communicate, timeout=20)
    assert process.popen.returncode == 2
    assert err.splitlines() == [
        (
            "probe: PROBE_COLOUR: unknown setting in the environment; known are ACCESS_LOG, ADMIN_PORT,"
            " DRAIN_ANNOUNCE, DRAIN_FINISH, HOST, INSTANCE, LOG_LEVEL, MAX_BODY, METRICS_ENABLED,"
            " OTEL_SDK_DISABLED, OWN_SERVER, PORT, REFUSES"
        ),
        "probe: PORT: expected `int`, got `str`",
    ]


@pytest.mark.parametrize(
    ("word", "code", "says"), [("--help", 0, "\n  ADMIN_PORT\n"), ("--port=80", 2, "--port=80")]
)
def test_it_takes_no_words_but_tells_of_its_settings(word, code, says):
    done = subprocess.run(
        [sys.executable, PROGRAM, word], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == code
    assert says in done.stdout + done.stderr


async def test_what_is_found_wrong_only_when_the_app_opens_is_named_too(start):
    process = start(REFUSES="FILE: nothing can be written there")
    _, err = await asyncio.to_thread(process.popen.communicate, timeout=20)
    assert (process.popen.returncode, err) == (2, "probe: FILE: nothing can be written there\n")


async def test_an_app_with_several_ports_says_which_one_is_taken(start):
    first = start()
    await first.ready()
    second = start(ADMIN_PORT=str(first.port))
    _, err = await asyncio.to_thread(second.popen.communicate, timeout=20)
    assert second.popen.returncode == 3
    assert f"ADMIN_PORT: can't listen on 127.0.0.1:{first.port}: another process listens there" in err
    assert "set ADMIN_PORT to a free one" in err


@both_servers
async def test_a_head_has_no_body_on_the_wire(start, own_server):
    process = start(OWN_SERVER=own_server)
    await process.ready()
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(b"HEAD /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert not body
