"""The port that fails is a server of our own: what any client may expect of one."""

import pytest


def test_pipelined_requests_are_answered_in_their_order(supplier, orders):
    mine = [next(orders) for _ in range(30)]
    client = supplier.connect().send(b"".join(supplier.request(each) for each in mine))
    assert [client.reply().json["order_id"] for _ in mine] == mine


def test_a_request_may_come_byte_by_byte(supplier, order):
    raw = supplier.request(order)
    client = supplier.connect().send(*(raw[number : number + 1] for number in range(len(raw))))
    assert client.reply().json["order_id"] == order


def test_a_body_may_come_in_chunks(supplier, order):
    raw = supplier.request(order)
    body = raw.partition(b"\r\n\r\n")[2]
    head = b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    client = supplier.connect().send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert (client.reply().status, client.send(raw).reply().status) == (200, 200)


def test_a_head_has_no_body(supplier, order):
    client = supplier.connect().send(b"HEAD /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
    reply = client.reply(bodiless=True)
    assert (reply.status, int(reply.headers["content-length"]) > 0) == (200, True)
    assert client.send(supplier.request(order)).reply().json["order_id"] == order


def test_who_waits_to_be_asked_for_the_body_is_asked(supplier, order):
    head, blank, body = supplier.request(order, "Expect: 100-continue").partition(b"\r\n\r\n")
    client = supplier.connect().send(head + blank)
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.send(body).reply().json["order_id"] == order


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Close, x"])
def test_who_wants_the_connection_closed_gets_it_closed(supplier, order, header):
    reply = supplier.connect().send(supplier.request(order, header)).rest()
    assert (reply.status, reply.headers["connection"], reply.ending) == (200, "close", "closed")


def test_http_1_0_is_answered_and_closed(supplier, order):
    reply = supplier.connect().send(supplier.request(order).replace(b"HTTP/1.1", b"HTTP/1.0")).rest()
    assert (reply.status, reply.is_whole, reply.ending) == (200, True, "closed")


def test_an_upgrade_is_not_taken_up(supplier):
    raw = b"GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    reply = supplier.connect().send(raw).rest()
    assert (reply.status, reply.json["service"], reply.ending) == (200, "supplier", "closed")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /validate HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /validate HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(supplier, raw, status):
    reply = supplier.connect().send(raw).rest()
    assert (reply.status, reply.headers["connection"]) == (status, "close")


@pytest.mark.parametrize("path", ["/validate", "/set_failure_mode"])
def test_a_body_that_is_too_long_is_refused_and_the_answer_arrives(supplier, path):
    reply = supplier.connect().send(supplier.request(path=path, body=b"x" * 600_000)).rest()
    assert (reply.status, reply.headers["connection"], reply.ending) == (413, "close", "closed")


def test_a_body_that_nobody_reads_is_dropped_and_the_connection_closed(supplier):
    reply = supplier.connect().send(supplier.request(path="/whoami", body=b"x" * 600_000)).rest()
    assert (reply.status, reply.headers["connection"], reply.ending) == (405, "close", "closed")


def test_every_answer_carries_its_ids(supplier, order):
    reply = supplier.ask(
        order, "X-Request-ID: mine-1", "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    )
    assert (reply.headers["x-request-id"], reply.headers["x-trace-id"]) == ("mine-1", "a" * 32)
    supplier.mode("error")
    failed = supplier.ask(order, "X-Request-ID: mine-2")
    assert failed.headers["x-request-id"] == failed.json["request_id"] == "mine-2"
    assert len(supplier.ask(order, "X-Request-ID: a b").headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/validate/", 200),
        ("GET", "/validate", 405),
        ("OPTIONS", "/validate", 204),
        ("GET", "/nothing", 404),
        ("GET", "/effects", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
    ],
)
def test_what_answers_where(supplier, method, path, status):
    client = supplier.connect().send(supplier.request(7, method=method, path=path))
    assert client.reply(bodiless=status == 204).status == status


def test_both_ports_are_one_process(supplier):
    front = supplier.ask(method="GET", path="/whoami", body="").json
    assert front == supplier.control.get("/whoami").json()
    assert front["service"] == "supplier"


def test_calls_are_counted_by_route_and_status(supplier, order):
    supplier.ask(order)
    supplier.mode("error")
    supplier.ask(order)
    text = supplier.control.get("/metrics").text
    for status in ("2xx", "5xx"):
        assert f'http_requests_total{{handler="/validate",method="POST",status_class="{status}"}}' in text


def test_get_tells_what_was_asked(supplier):
    told = supplier.control.get("/get?a=1&b=2&b=3", headers={"X-Mine": "yes"}).json()
    assert told["args"] == {"a": "1", "b": ["2", "3"]}
    assert told["headers"]["x-mine"] == "yes"
    assert told["url"].endswith("/get?a=1&b=2&b=3")


@pytest.mark.parametrize(
    ("seconds", "status"), [("0", 200), ("0.05", 200), ("31", 400), ("-1", 400), ("x", 400), ("1e1", 400)]
)
def test_delay_is_bounded(supplier, seconds, status):
    assert supplier.control.get(f"/delay/{seconds}").status_code == status


@pytest.mark.parametrize("code", [200, 204, 304, 404, 418, 429, 500, 503, 599])
def test_status_is_what_was_asked_for_and_empty(supplier, code, order):
    client = supplier.connect().send(supplier.request(method="GET", path=f"/status/{code}", body=""))
    reply = client.reply(bodiless=code in (204, 304))
    assert (reply.status, reply.body, reply.headers.get("retry-after")) == (
        code,
        b"",
        "1" if code == 503 else None,
    )
    assert client.send(supplier.request(order)).reply().json["order_id"] == order


@pytest.mark.parametrize("code", ["99", "100", "199", "600", "x", "+200", "2000"])
def test_a_status_that_is_none_is_refused(supplier, code):
    assert supplier.control.get(f"/status/{code}").status_code == 400
