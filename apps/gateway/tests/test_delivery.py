"""What happens to a request when targets fail: sent again, elsewhere, if that is safe; who gets the next."""

import asyncio
import time
from collections import Counter

import pytest

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def says(status, *headers, body=b"no"):
    """Answers each request so."""
    head = b"".join([b"HTTP/1.1 %d -\r\n" % status, *(header + b"\r\n" for header in headers)])

    async def script(peer):
        while await peer.request():
            await peer.answer(head + b"content-length: %d\r\n\r\n" % len(body) + body)

    return script


async def resets(peer):
    await peer.request()
    peer.reset()


async def hangs(peer):
    await peer.request()
    await peer.gone()


async def fine(peer):
    while await peer.request():
        await peer.answer(OK)


TWICE = {"retry": {"attempts": 2}}


def heads(front):
    return [len(replica.heads) for replica in front.replicas]


async def first_tries_the_first(front, method="GET", *headers, body=b""):
    """Ask until the first replica was asked; the reply of that request."""
    while True:
        reply = await front.ask(method, "/v1/books", *headers, body=body)
        if front.replicas[0].heads:
            return reply


REPEATED = [
    ("GET", [], True),
    ("DELETE", [], True),
    ("PUT", [], True),
    ("POST", ["Idempotency-Key: k-1"], True),
    ("POST", [], False),
    ("PATCH", [], False),
]
NEVER_OUT = {"eject": {"consecutive": 1000}, "breaker": {"min_calls": 10_000}}


@pytest.mark.parametrize("bad", [resets, says(502), says(503), says(504)], ids=["reset", "502", "503", "504"])
async def test_what_may_be_repeated_is_tried_elsewhere_and_nothing_else_is(gateway, bad):
    async with gateway([bad, fine], upstream={**NEVER_OUT, "pick": "round_robin"}, **TWICE) as front:
        first, second = front.replicas
        for _ in range(15):  # what is never repeated earns the budget for what is
            await front.ask("PATCH", "/v1/books")
        for method, headers, repeated in REPEATED:
            first.heads.clear()
            body = b"" if method in ("GET", "DELETE") else b'{"a":1}'
            reply = await first_tries_the_first(front, method, *headers, body=body)
            assert (method, len(first.heads)) == (method, 1)
            if repeated:
                assert (method, reply.status, second.bodies[-1]) == (method, 200, body)
            else:
                assert reply.status in (502, 503, 504)


async def test_what_was_never_sent_is_tried_elsewhere_whatever_it_is(gateway):
    async with gateway([fine, fine, fine], gone=["books", "books2"]) as front:
        replies = [await front.ask("POST", "/v1/books", body=b"{}") for _ in range(5)]
        assert [reply.status for reply in replies] == [200] * 5
        assert heads(front) == [0, 0, 5]


async def test_an_answer_that_says_when_to_come_back_is_passed_on(gateway):
    async with gateway([says(503, b"retry-after: 7")] * 2, **TWICE) as front:
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.header("retry-after"), reply.body) == (503, "7", b"no")
        assert sum(heads(front)) == 1


async def test_a_timeout_is_not_repeated_unless_told(gateway):
    brief = {"timeout": {"attempt": 0.1, "total": 5.0}}
    async with gateway([hangs, fine], **TWICE, **brief) as front:
        assert (await first_tries_the_first(front)).status == 504
    async with gateway([hangs, fine], retry={"attempts": 2, "on": ["timeout"]}, **brief) as front:
        assert (await first_tries_the_first(front)).status == 200


@pytest.mark.quiet
async def test_the_total_bounds_all_tries_and_travels(gateway):
    how = {"retry": {"attempts": 5, "on": ["timeout"]}, "timeout": {"attempt": 0.5, "total": 0.8}}
    async with gateway([hangs, hangs, hangs], **how) as front:
        began = time.monotonic()
        reply = await front.ask("GET", "/v1/books")
        assert 0.75 <= time.monotonic() - began < 1.5
        assert reply.status == 504
        left = [
            int(head.split(b"x-deadline-ms: ")[1].split(b"\r\n")[0])
            for replica in front.replicas
            for head in replica.heads
        ]
        assert len(left) == 2
        assert 600 < max(left) <= 800
        assert min(left) <= 300
        for replica in front.replicas:
            if replica.heads:
                await replica.lets_go()


async def test_a_client_cannot_set_the_deadline(gateway):
    async with gateway() as front:
        await front.ask("GET", "/v1/books", "X-Deadline-Ms: 1")
        assert front.books.heads[0].count(b"x-deadline-ms") == 1
        assert b"x-deadline-ms: 1\r\n" not in front.books.heads[0]


async def test_a_body_that_is_too_long_to_keep_is_sent_once(gateway):
    async with gateway([says(503), fine], **TWICE) as front:
        replies = [await front.ask("PUT", "/v1/books", body=bytes(70_000)) for _ in range(6)]
        assert sum(heads(front)) == 6
        assert {reply.status for reply in replies} <= {200, 503}


async def test_retries_stay_a_fifth(gateway):
    async with gateway([says(503)] * 2, upstream=NEVER_OUT, **TWICE) as front:
        replies = [await front.ask("GET", "/v1/books") for _ in range(60)]
        assert {reply.status for reply in replies} == {503}
        assert 60 < sum(heads(front)) <= 60 * 1.2 + 3
        assert (
            await front.metric('bookstore_retry_attempts_total{dependency="books",outcome="over_budget"}')
            > 40
        )


async def test_a_service_that_fails_is_left_alone_and_comes_back(gateway):
    rule = {"breaker": {"min_calls": 5, "open_for": 0.3}}
    status = 502

    async def script(peer):
        while await peer.request():
            await peer.answer(b"HTTP/1.1 %d -\r\ncontent-length: 0\r\n\r\n" % status)

    async with gateway(script, upstream=rule) as front:
        for _ in range(5):
            assert (await front.ask("GET", "/v1/books")).status == 502
        asked = len(front.books.heads)
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.header("retry-after"), len(front.books.heads)) == (503, "1", asked)
        assert await front.metric('bookstore_breaker_state{dependency="books",state="open"}') == 1
        status = 200
        await front.until(lambda reply: reply.status == 200)
        # Another service is none the worse.
        assert (await front.ask("GET", "/v1/orders")).status == 200


async def test_a_service_has_only_so_many_requests_at_a_time(gateway):
    go = asyncio.Event()

    async def waits(peer):
        while await peer.request():
            await go.wait()
            await peer.answer(OK)

    async with gateway(waits, upstream={"max_in_flight": 3}) as front:
        running = [asyncio.create_task(front.ask("GET", "/v1/books")) for _ in range(3)]
        await front.busy(3)
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.header("retry-after")) == (503, "1")
        assert reply.problem["type"] == "urn:bookstore:problem:service-busy"
        assert (await front.ask("GET", "/v1/orders")).status == 200
        go.set()
        assert [(await each).status for each in running] == [200] * 3
        assert (await front.ask("GET", "/v1/books")).status == 200


# -- who gets the next one


@pytest.mark.parametrize("pick", ["p2c", "round_robin"])
async def test_replicas_share_the_work(gateway, pick):
    async with gateway([fine, fine], upstream={"pick": pick}) as front:
        for _ in range(20):
            await asyncio.gather(*(front.ask("GET", "/v1/books") for _ in range(5)))
        assert min(heads(front)) >= 30


async def test_weights(gateway):
    def file(services):
        made = front_file(services, pick="round_robin")
        made["upstreams"]["books"]["targets"][0]["weight"] = 4
        return made

    async with gateway([fine, fine], file=file) as front:
        for _ in range(50):
            await front.ask("GET", "/v1/books")
        assert heads(front) == [40, 10]


def front_file(services, **upstream):
    health = {"interval": 3600.0}
    urls = {
        name: [{"url": each.url} for key, each in services.items() if key.startswith(name)]
        for name in services
    }
    return {
        "upstreams": {"books": {"targets": urls["books"], "health": health, **upstream}},
        "routes": [{"id": "books", "prefix": "/v1/books", "upstream": "books"}],
    }


async def test_a_caller_stays_with_one_target(gateway):
    async with gateway([fine] * 3, upstream={"pick": "hash"}, trusted_proxies=["127.0.0.1"]) as front:
        places = set()
        for caller in range(12):
            before = heads(front)
            for _ in range(3):
                await front.ask("GET", "/v1/books", f"X-Forwarded-For: 192.0.2.{caller}")
            moved = [after - then for after, then in zip(heads(front), before, strict=True)]
            assert sorted(moved) == [0, 0, 3]
            places.add(moved.index(3))
        assert len(places) > 1


async def test_one_that_fails_at_once_does_not_draw_the_work(gateway):
    async with gateway([says(500), fine], upstream=NEVER_OUT) as front:
        for _ in range(20):
            await asyncio.gather(*(front.ask("GET", "/v1/books") for _ in range(5)))
        assert heads(front)[0] < 25


async def test_one_that_keeps_failing_is_left_out_and_tried_again(gateway):
    rule = {"eject": {"consecutive": 2, "base": 0.3, "cap": 0.3}, "slow_start": 0, "pick": "round_robin"}
    status = 500

    async def script(peer):
        while await peer.request():
            await peer.answer(b"HTTP/1.1 %d -\r\ncontent-length: 0\r\n\r\n" % status)

    async with gateway([script, fine], upstream=rule) as front:
        ejected = f'bookstore_gateway_ejections_total{{target="{front.books.url}",upstream="books"}}'
        while not await front.metric(ejected):
            await front.ask("GET", "/v1/books")
        status = 200
        before = heads(front)[0]
        assert {(await front.ask("GET", "/v1/books")).status for _ in range(5)} == {200}
        assert heads(front)[0] == before
        while heads(front)[0] == before:
            assert (await front.ask("GET", "/v1/books")).status == 200


async def test_one_that_is_slow_gets_less(gateway):
    async def slow(peer):
        while await peer.request():
            await asyncio.sleep(0.05)  # this is what being slow means
            await peer.answer(OK)

    async with gateway([slow, fine]) as front:

        async def ask_on():
            for _ in range(20):
                await front.ask("GET", "/v1/books")

        await asyncio.gather(*(ask_on() for _ in range(4)))
        assert heads(front)[0] < heads(front)[1]


async def test_health_takes_a_target_out_and_brings_it_back(gateway):
    rule = {"health": {"interval": 0.05}}
    async with gateway([fine, fine], upstream=rule) as front:
        first, second = front.replicas
        first.well = False
        await front.until_health("down", "up")
        before = heads(front)
        for _ in range(10):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert heads(front) == [before[0], before[1] + 10]
        assert (
            await front.metric(f'bookstore_gateway_target_up{{target="{first.url}",upstream="books"}}') == 0
        )
        assert (
            await front.metric(f'bookstore_gateway_target_up{{target="{second.url}",upstream="books"}}') == 1
        )
        first.well = True
        await front.until_health("up", "up")


async def test_one_that_is_just_starting_is_not_left_out_for_long(gateway):
    async with gateway([fine, fine], ill=["books"]) as front:  # health is asked for once an hour
        await front.until_health("down", "up")
        front.replicas[0].well = True
        await front.until_health("up", "up")


async def test_when_all_are_ill_all_are_used(gateway):
    async with gateway([fine, fine], ill=["books", "books2"], upstream={"slow_start": 0}) as front:
        assert await front.health() == ["down", "down", "up", "up"]
        for _ in range(20):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert min(heads(front)) > 0


async def test_one_that_is_gone_is_found_out_by_the_first_request(gateway):
    async with gateway([fine, fine]) as front:  # health is asked for once an hour
        front.books.stop_listening()
        replies = Counter()
        while "down" not in await front.health():
            replies[(await front.ask("GET", "/v1/books")).status] += 1
        assert set(replies) <= {200}
        labels = f'outcome="connect",target="{front.books.url}",upstream="books"'
        attempts = f"bookstore_gateway_attempts_total{{{labels}}}"
        refused = await front.metric(attempts)
        for _ in range(20):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert await front.metric(attempts) == refused
