"""What operators see of a running gateway, and what they change while it works."""

import asyncio
import json
from collections import Counter

import msgspec

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def view(front, path):
    reply = await front.admin("GET", path)
    assert reply.status == 200, reply.raw
    return json.loads(reply.body)


async def test_what_operators_see(gateway):
    limits = {"hundred": {"quota": 100, "per": 60, "key": "address"}}
    async with gateway(gone=["orders"], limits=limits, route={"limit": "hundred"}) as front:
        await front.ask("GET", "/v1/books")
        books, orders, _ = await view(front, "/upstreams")
        assert books == {
            "id": "books",
            "pick": "p2c",
            "in_flight": 0,
            "max_in_flight": 256,
            "targets": [
                {
                    "number": 0,
                    "url": front.books.url,
                    "weight": 1,
                    "health": "up",
                    "ejected": False,
                    "draining": False,
                    "in_flight": 0,
                }
            ],
        }
        assert orders["targets"][0]["health"] == "down"
        assert (await view(front, "/routes"))[0] == {
            "id": "books-v1-books",
            "host": "",
            "prefix": "/v1/books",
            "path": "keep",
            "methods": [],
            "upstream": "books",
            "auth": "none",
            "roles": [],
            "limit": "hundred",
        }
        assert await view(front, "/limits") == [
            {
                "id": "hundred",
                "quota": 100,
                "per": 60.0,
                "key": "address",
                "exact": True,
                "allowed": 1,
                "refused": 0,
                "degraded": 0,
            }
        ]
        assert (await view(front, "/breakers"))[0] == {
            "upstream": "books",
            "state": "closed",
            "calls": 1,
            "failures": 0,
            "rejected": 0,
        }
        assert (await view(front, "/config"))["routes"][0]["timeout"]["connect"] == 5.0
        assert (await view(front, "/whoami"))["service"] == "gateway-admin"
        assert (await view(front, "/health"))["status"] == "healthy"


async def test_it_is_for_this_machine_alone(gateway):
    async with gateway() as front:
        drain = b"POST /upstreams/books/targets/0/drain HTTP/1.1\r\nConnection: close\r\n"
        for headers in (
            b"Host: evil.example\r\n",
            b"Host: localhost\r\nOrigin: https://evil.example\r\n",
            b"",
        ):
            reply = await front.send_admin(drain + headers + b"\r\n")
            assert (headers, reply.status) == (headers, 403)
        # Nothing of it is to be had at the front door.
        for path in ("/routes", "/upstreams", "/config"):
            assert (await front.ask("GET", path)).status == 404
        assert (await front.ask("PUT", "/config", body=b"{}")).status == 404


async def test_another_file_while_it_works(gateway):
    async with gateway(ill=["orders"]) as front:
        stop = asyncio.Event()
        seen = Counter()

        async def ask_on():
            while not stop.is_set():
                seen[(await front.ask("GET", "/v1/books")).status] += 1

        asking = [asyncio.create_task(ask_on()) for _ in range(4)]
        for number in range(5):
            other = {**front.file, "routes": [*front.file["routes"], {**NEW, "id": f"new-{number}"}]}
            reply = await front.put(other)
            assert reply.status == 200, reply.raw
            assert (await front.ask("GET", "/new/v1/books")).status == 200
            assert b"\n" not in reply.body
        # What is known of a target is known on: it isn't up because the file is new, nor asked anew.
        assert await front.health() == ["up", "down", "up"]
        assert front.books.asked == 1
        stop.set()
        await asyncio.gather(*asking)
        assert set(seen) == {200}


NEW = {"prefix": "/new", "path": "strip", "upstream": "books"}


async def test_a_bad_file_changes_nothing(gateway):
    async with gateway() as front:
        other = msgspec.json.decode(msgspec.json.encode(front.file))
        other["upstreams"]["books"]["max_inflight"] = 5
        reply = await front.put(other)
        assert reply.status == 400
        assert reply.problem["errors"] == [
            {"field": "upstreams.books.max_inflight", "message": "there is no such field"}
        ]
        for body, kind in ((b"{", "application/json"), (b"[", "application/toml")):
            assert (await front.admin("PUT", "/config", f"Content-Type: {kind}", body=body)).status == 400
        assert (await front.admin("PUT", "/config", "Content-Type: text/html", body=b"x")).status == 415
        assert (await front.ask("GET", "/v1/books")).status == 200
        assert await front.metric('bookstore_gateway_reloads_total{outcome="refused"}') == 3


async def test_toml_will_do_as_well(gateway):
    async with gateway() as front:
        file = f"""
            [upstreams.a]
            targets = [{{ url = "{front.books.url}" }}]
            [[routes]]
            id = "a"
            prefix = "/a"
            path = "strip"
            upstream = "a"
        """
        reply = await front.admin("PUT", "/config", "Content-Type: application/toml", body=file.encode())
        assert reply.status == 200
        assert (await front.ask("GET", "/a/b")).status == 200
        assert (await front.ask("GET", "/v1/books")).status == 404
        assert front.books.heads[-1].startswith(b"GET /b HTTP/1.1")


async def test_requests_under_way_end_by_the_old_file(gateway):
    go = asyncio.Event()

    async def waits(peer):
        while await peer.request():
            await go.wait()
            await peer.answer(OK)

    async with gateway([waits, waits]) as front:
        running = [asyncio.create_task(front.ask("GET", "/v1/books")) for _ in range(6)]
        await front.busy(6)
        # One service has gone from the file, of the other one a target.
        books = {**front.file["upstreams"]["books"], "targets": [{"url": front.replicas[1].url}]}
        routes = [route for route in front.file["routes"] if route["upstream"] == "books"]
        assert (await front.put({"upstreams": {"books": books}, "routes": routes})).status == 200
        go.set()
        assert [(await each).status for each in running] == [200] * 6
        before = len(front.replicas[0].heads)
        for _ in range(8):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert len(front.replicas[0].heads) == before
        await front.replicas[0].lets_go()


async def test_a_target_is_drained_and_comes_back(gateway):
    go = asyncio.Event()

    async def waits(peer):
        while await peer.request():
            await go.wait()
            await peer.answer(OK)

    async with gateway([waits, waits], upstream={"slow_start": 0}) as front:
        running = [asyncio.create_task(front.ask("GET", "/v1/books")) for _ in range(8)]
        await front.busy(8)
        reply = await front.admin("POST", "/upstreams/books/targets/1/drain")
        told = json.loads(reply.body)
        assert (reply.status, told["draining"], told["url"]) == (200, True, front.replicas[1].url)
        assert told["in_flight"] == len(front.replicas[1].heads)
        go.set()
        assert [(await each).status for each in running] == [200] * 8
        before = len(front.replicas[1].heads)
        assert (await front.put(front.file)).status == 200  # the file knows nothing of it
        for _ in range(10):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert len(front.replicas[1].heads) == before
        assert (await front.admin("POST", "/upstreams/books/targets/0/drain")).status == 200
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.header("retry-after")) == (503, "1")
        for number in (0, 1):
            assert (await front.admin("DELETE", f"/upstreams/books/targets/{number}/drain")).status == 200
        for _ in range(20):
            assert (await front.ask("GET", "/v1/books")).status == 200
        assert len(front.replicas[1].heads) > before
        for path in ("/upstreams/books/targets/2/drain", "/upstreams/nobody/targets/0/drain"):
            assert (await front.admin("POST", path)).status == 404
