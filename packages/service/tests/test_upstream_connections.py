"""The client against a raw upstream: connections that are kept, shared and never mistaken."""

import asyncio

import pytest

from bookstore.service.upstream import Answer, Broken, ConnectFailed, Upstream

from .stage import OK, Peer, Stage, always, both_loops, closed_port, once


@both_loops
async def test_connections_are_kept_and_used_again():
    stage = always(OK)
    async with stage.client() as client:
        for _ in range(3):
            await asyncio.gather(*(client.request("GET", "/") for _ in range(4)))
    assert len(stage.peers) <= 4
    assert len(stage.heads) == 12


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL",
        OK + b"trailing",
    ],
    ids=["close", "1.0", "an answer too many", "bytes too many"],
)
@both_loops
async def test_connections_that_must_not_be_used_again_are_not(sent):
    stage = always(sent)
    async with stage.client() as client:
        for _ in range(2):
            assert (await client.request("POST", "/", body=b"")).body == b"ok"
    assert len(stage.peers) == 2


@both_loops
async def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next():
    late = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        if len(stage.peers) == 1:
            await late.wait()
            await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL")
            await peer.gone()

    stage = Stage(script)
    async with stage.client() as client:
        await client.request("GET", "/")
        late.set()
        await stage.ended.wait()  # the client has closed it
        assert (await client.request("GET", "/")).body == b"ok"


@both_loops
async def test_a_connection_closed_while_idle_is_not_used_again():
    stage = once(OK, then="close")
    async with stage.client() as client:
        for _ in range(3):
            assert (await client.request("POST", "/", body=b"{}")).status == 200
            await client_sees_close(client)


async def client_sees_close(client: Upstream) -> None:
    async with asyncio.timeout(5):
        while client._pool._connections:  # noqa: ASYNC110 - the client tells nobody when one closes
            await asyncio.sleep(0)


@both_loops
async def test_an_idle_connection_is_closed_after_its_time():
    stage = always(OK)
    async with stage.client(keep_alive=0.0) as client:
        for _ in range(2):
            await client.request("GET", "/")
    assert len(stage.peers) == 2


def dies_at_second_request() -> Stage:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        await peer.request()
        if peer is stage.peers[0]:
            peer.reset()
        else:
            await peer.answer(OK)

    stage = Stage(script)
    return stage


@both_loops
async def test_a_get_that_meets_a_dying_connection_is_asked_once_more():
    stage = dies_at_second_request()
    async with stage.client() as client:
        for _ in range(2):
            assert (await client.request("GET", "/")).status == 200
    assert len(stage.heads) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@both_loops
async def test_what_may_have_changed_something_is_never_sent_twice(method):
    stage = dies_at_second_request()
    async with stage.client() as client:
        await client.request("GET", "/")
        with pytest.raises(Broken):
            await client.request(method, "/", body=b"{}")
    assert len(stage.heads) == 2


@both_loops
async def test_no_more_connections_than_allowed_and_waiters_come_in_order():
    finished = []

    async def call(client: Upstream, number: int) -> None:
        await client.request("GET", "/")
        finished.append(number)

    stage = always(OK)
    async with stage.client(max_connections=1) as client:
        await asyncio.gather(*(call(client, number) for number in range(10)))
    assert finished == list(range(10))
    assert len(stage.peers) == 1


@both_loops
async def test_no_free_connection_in_time_means_that_nothing_was_sent():
    stage = once()
    async with stage.client(max_connections=1) as client:
        first = asyncio.create_task(client.request("GET", "/"))
        await stage.heard.wait()
        with pytest.raises(ConnectFailed, match="all 1 connections were busy"):
            await client.request("GET", "/", timeout=0.02)
        first.cancel()
        await asyncio.wait({first})


@both_loops
async def test_places_are_not_lost_by_those_who_give_up():
    stage = always(OK)
    async with stage.client(max_connections=2) as client:
        for delay in range(30):
            calls = [asyncio.create_task(client.request("GET", "/")) for _ in range(6)]
            for _ in range(delay):
                await asyncio.sleep(0)
            for call in calls[:5]:
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(results[5], Answer), results
        answers = await asyncio.gather(*(client.request("GET", "/") for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4


@both_loops
async def test_places_are_not_lost_by_refused_connections():
    async with Upstream(f"http://127.0.0.1:{closed_port()}", max_connections=2) as client:
        for _ in range(3):
            calls = (client.request("GET", "/") for _ in range(5))
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [ConnectFailed] * 5
