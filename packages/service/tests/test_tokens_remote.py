"""Keys from an issuer that is slow, down, wrong, or changes them: counted and timed at the issuer."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from bookstore.service.problem import Problem
from bookstore.service.testing import soon
from bookstore.service.tokens import RemoteKeys


def document(*kids):
    keys = [
        {**json.loads(OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key())), "kid": kid}
        for kid in kids
    ]
    return json.dumps({"keys": keys}).encode()


class Issuer:
    """Answers as it is told, and counts who asks."""

    def __init__(self):
        self.body = document("first")
        self.status = 200
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.url = ""

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                self.target = head.split(b" ")[1]
                await self.answers.wait()
                answer = f"HTTP/1.1 {self.status} -\r\nContent-Length: {len(self.body)}\r\n\r\n"
                writer.write(answer.encode() + self.body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def issuer():
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield issuer
    issuer.answers.set()
    server.close()


@asynccontextmanager
async def remote(issuer, **settings):
    async with RemoteKeys(
        issuer.url, **{"refresh": 1000, "again": 1000, "patience": 0.3, **settings}
    ) as keys:
        yield keys


async def test_a_known_key_is_found_without_asking_again(issuer):
    async with remote(issuer) as keys:
        for _ in range(50):
            assert (await keys.find("first")).kid == "first"
        assert issuer.asked == 1


async def test_a_key_set_may_be_elsewhere(issuer):
    async with remote(issuer, path="/keys.json?all=1") as keys:
        await keys.find("first")
        assert issuer.target == b"/keys.json?all=1"


async def test_an_unknown_key_is_asked_for_once_in_a_while(issuer):
    async with remote(issuer) as keys:
        await keys.find("first")
        issuer.body = document("first", "second")
        found = await asyncio.gather(*(keys.find("second") for _ in range(20)))
        assert {key.kid for key in found} == {"second"}
        assert issuer.asked == 2
        for number in range(50):
            assert await keys.find(f"made up {number}") is None
        assert issuer.asked == 2


async def test_after_the_pause_an_unknown_key_is_asked_for_again(issuer):
    async with remote(issuer, again=0.02) as keys:
        assert await keys.find("later") is None
        issuer.body = document("later")
        await until_found(keys, "later")


async def until_found(keys, kid):
    while await keys.find(kid) is None:  # noqa: ASYNC110 - asking is what makes it change
        await asyncio.sleep(0.005)


async def test_keys_are_looked_at_in_the_background(issuer):
    async with remote(issuer, refresh=0.02) as keys:
        first = await keys.find("first")
        await soon(lambda: issuer.asked > 3)
        assert await keys.find("first") is first, "unchanged keys stay the same objects"
        issuer.body = document("second")
        await soon(lambda: "second" in keys._keys)
        assert "first" not in keys._keys


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (200, b"{}"), (200, b"no JSON"), (200, b'{"keys":[]}'), (200, b" " * 70_000), (404, b"")],
)
async def test_old_keys_are_kept_while_the_issuer_is_ill(issuer, status, body):
    async with remote(issuer, refresh=0.02, again=0.02) as keys:
        await keys.find("first")
        issuer.status, issuer.body = status, body
        before = issuer.asked
        await soon(lambda: issuer.asked > before + 2)
        assert (await keys.find("first")).kid == "first"
        issuer.status, issuer.body = 200, document("second")
        await soon(lambda: "second" in keys._keys)


async def test_a_frozen_issuer_holds_up_nobody_with_a_known_key(issuer):
    async with remote(issuer, refresh=0.02) as keys:
        await keys.find("first")
        issuer.answers.clear()
        async with asyncio.timeout(0.2):
            for _ in range(100):
                await keys.find("first")
        async with asyncio.timeout(2):
            assert await keys.find("unknown") is None


async def test_without_any_key_nobody_is_told_that_a_token_is_bad(issuer):
    issuer.status = 500
    async with remote(issuer, again=0.05) as keys:
        with pytest.raises(Problem) as refused:
            await keys.find("first")
        assert refused.value.status == 503
        assert "Retry-After" in refused.value.headers
        issuer.status = 200
        await soon(lambda: keys._keys)
        assert (await keys.find("first")).kid == "first"


async def test_nobody_is_asked_before_the_first_token_if_that_is_early_enough(issuer):
    async with remote(issuer, at_start=False, refresh=0.02) as keys:
        await asyncio.sleep(0)
        assert issuer.asked == 0
        found = await asyncio.gather(*(keys.find("first") for _ in range(20)))
        assert {key.kid for key in found} == {"first"}
        assert issuer.asked == 1
        issuer.body = document("second")
        await soon(lambda: "second" in keys._keys)
    async with remote(issuer, at_start=False):
        pass


async def test_a_first_token_that_came_too_early_brings_the_keys_for_the_next(issuer):
    issuer.status = 500
    async with remote(issuer, at_start=False, again=0.05) as keys:
        with pytest.raises(Problem) as refused:
            await keys.find("first")
        assert refused.value.status == 503
        issuer.status = 200
        await soon(lambda: keys._keys)


async def test_trouble_is_told_once_until_it_changes(issuer, caplog):
    def told():
        return [(record.levelname, getattr(record, "cause", "")) for record in caplog.records]

    caplog.set_level("INFO")
    issuer.status = 500
    async with remote(issuer, refresh=0.02, again=0.02) as keys:
        await soon(lambda: issuer.asked > 4)
        assert len(told()) == 1
        issuer.status = 404
        before = issuer.asked
        await soon(lambda: issuer.asked > before + 3)
        assert [level for level, _ in told()] == ["WARNING"] * 2
        assert "404" in told()[1][1]
        issuer.status = 200
        await soon(lambda: keys._keys)
        before = issuer.asked
        await soon(lambda: issuer.asked > before + 3)
    assert [level for level, _ in told()] == ["WARNING", "WARNING", "INFO"]


async def test_one_that_gives_up_doesnt_take_the_look_from_the_others(issuer):
    async with remote(issuer) as keys:
        await keys.find("first")
        issuer.answers.clear()
        first, second = (asyncio.create_task(keys.find("x")) for _ in range(2))
        await soon(lambda: issuer.asked == 2)
        first.cancel()
        issuer.body = document("x")
        issuer.answers.set()
        assert (await second).kid == "x"
