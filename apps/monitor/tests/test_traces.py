"""Traces: taken, kept within bounds, shown; and what strangers send in their place."""

import gzip
import random
import struct
import time

import pytest

from bookstore.monitor.traces import api as traces_api
from bookstore.monitor.traces.memory import MOST_SPANS, NEWS, TraceMemory
from bookstore.service.otlp import decode
from bookstore.service.testing.problems import check_problem

NOW = 1_763_700_000_000_000_000
MS = 1_000_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def field(number, value):
    """A field of protobuf: text or bytes, or a number of 64 bits."""
    if isinstance(value, int):
        return varint(number << 3 | 1) + struct.pack("<Q", value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(number):
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def attribute(key, value):
    return field(1, key) + field(2, field(1, value))


def span(identity, parent="", *, trace=TRACE, name="GET /v1/books", at=0, ms=10, error=False, more=b""):
    return field(
        2,
        field(1, bytes.fromhex(trace))
        + field(2, bytes.fromhex(identity))
        + (field(4, bytes.fromhex(parent)) if parent else b"")
        + field(5, name)
        + b"\x30\x02"
        + field(7, NOW + at * MS)
        + field(8, NOW + (at + ms) * MS)
        + field(9, attribute("http.route", "/v1/books"))
        + (field(15, b"\x18\x02") if error else b"")
        + more,
    )


def request(*spans, service="orders"):
    resource = field(1, field(1, attribute("service.name", service)))
    return field(1, resource + field(2, b"".join(spans)))


ROOT, CHILD = "00f067aa0ba902b7", "00f067aa0ba902b8"


def send(monitor, body, **headers):
    return monitor.post("/v1/traces", content=body, headers=PROTOBUF | headers)


def test_spans_become_a_waterfall(shared):
    event = field(11, field(1, NOW + 3 * MS) + field(2, "retry") + field(3, attribute("why", "reset")))
    link = field(13, field(1, bytes.fromhex("f" * 32)) + field(2, bytes.fromhex(ROOT)))
    # The child comes first, as it ends first, and from another service.
    late = request(span(CHILD, ROOT, at=2, ms=5, error=True, more=event + link), service="books")
    for body in (late, request(span(ROOT, name="POST /v1/orders"))):
        answer = send(shared, body)
        assert (answer.status_code, answer.content) == (200, b"")
    [found] = [each for each in shared.get("/v2/monitor/traces").json()["data"] if each["trace_id"] == TRACE]
    assert (found["name"], found["service"], found["services"]) == (
        "POST /v1/orders",
        "orders",
        ["books", "orders"],
    )
    assert (found["spans"], found["errors"], found["duration_ms"]) == (2, 1, 10.0)
    root, child = shared.get(f"/v2/monitor/traces/{TRACE}").json()["spans"]
    assert (root["parent_id"], child["parent_id"], child["offset_ms"]) == ("", ROOT, 2.0)
    assert (child["error"], child["kind"], child["attributes"]) == (
        True,
        "SERVER",
        {"http.route": "/v1/books"},
    )
    assert child["events"] == [{"name": "retry", "offset_ms": 3.0, "attributes": {"why": "reset"}}]
    assert child["links"] == ["f" * 32]


def test_the_list_is_searched(shared):
    good, bad = "1" * 32, "2" * 32
    send(
        shared,
        gzip.compress(request(span(ROOT, trace=good), service="accounts")),
        **{"Content-Encoding": "gzip"},
    )
    send(shared, request(span(ROOT, trace=bad, error=True), service="accounts"))

    def ids(query):
        return [each["trace_id"] for each in shared.get(f"/v2/monitor/traces?{query}").json()["data"]]

    assert ids("service=accounts") == [bad, good]
    assert ids("service=accounts&errors=true") == [bad]
    assert ids("service=accounts&limit=1") == [bad]
    for query in ("limit=0", "limit=201", "limit=x"):
        check_problem(shared.get(f"/v2/monitor/traces?{query}"), 422, "validation")
    for strange in ("3" * 32, "0" * 32, "x", "../../etc/passwd", "A" * 32):
        check_problem(shared.get(f"/v2/monitor/traces/{strange}"), 404)


BOMB = gzip.compress(b"\0" * (traces_api.LONGEST + 1), mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"hello", {}, 400),
        (b"\xff" * 1000, {}, 400),
        (request(span(ROOT))[:-5], {}, 400),
        (field(1, field(2, b"\x12\x00" * 200_000)), {}, 400),
        (request(span(ROOT, more=b"\x5a\x00" * 200_000)), {}, 400),
        (request(span(ROOT, more=b"\x4a\x00" * 200_000)), {}, 400),
        (request(span(ROOT, more=b"\x30\x63")), {}, 400),
        (b"\x0a\xff\xff\xff\xff\x0f" + b"x" * 10, {}, 400),
        (BOMB, {"Content-Encoding": "gzip"}, 400),
        (BOMB[:50], {"Content-Encoding": "gzip"}, 400),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (request(span(ROOT)), {"Content-Encoding": "br"}, 400),
        (request(span(ROOT)), {"Content-Type": "application/json"}, 415),
        (b"x" * 1_048_577, {}, 413),
    ],
    ids=[
        "text",
        "no end",
        "cut short",
        "empty spans",
        "empty events",
        "empty attributes",
        "a kind that isn't",
        "longer than it is",
        "a bomb",
        "half a bomb",
        "no gzip",
        "packed otherwise",
        "JSON",
        "too long",
    ],
)
def test_what_is_no_otlp_or_too_much_is_refused(shared, body, headers, status):
    before = shared.get("/v2/monitor/traces").json()["bytes"]
    check_problem(send(shared, body, **headers), status)
    assert shared.get("/v2/monitor/traces").json()["bytes"] == before
    assert shared.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "strange",
    [
        span("0" * 15 + "1", trace="0" * 32),
        span(ROOT, ms=-20),
        span(ROOT, at=10**13),
        field(2, field(1, b"short") + field(2, b"x")),
        b"\x12\x00",
    ],
    ids=["no trace", "ends before it begins", "in the far future", "short ids", "nothing"],
)
def test_spans_that_cannot_be_are_counted_and_dropped(shared, strange):
    before = shared.get("/v2/monitor/traces").json()
    assert send(shared, request(strange)).status_code == 200
    after = shared.get("/v2/monitor/traces").json()
    assert (after["kept"], after["dropped_spans"]) == (before["kept"], before["dropped_spans"] + 1)


def test_markup_and_long_texts_stay_text(shared):
    trace, markup = "4" * 32, "<script>alert(1)</script>"
    many = b"".join(field(9, attribute(f"key-{number}", "v" * 5000)) for number in range(100))
    send(shared, request(span(ROOT, trace=trace, name=markup + "x" * 10_000, more=many), service=markup))
    answer = shared.get(f"/v2/monitor/traces/{trace}")
    assert answer.headers["content-type"] == "application/json"
    [shown] = answer.json()["spans"]
    assert (len(shown["name"]), shown["service"], len(shown["attributes"])) == (256, markup, 32)
    assert max(map(len, shown["attributes"].values())) == 256


def test_random_bytes_break_nothing():
    chance = random.Random(1)  # noqa: S311
    good = request(span(ROOT), span(CHILD, ROOT, error=True))
    memory = TraceMemory(1_000_000)
    for _ in range(3000):
        body = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            memory.add(traces_api._unpacked(bytes(body), "identity"))
        except traces_api.REFUSED:
            continue
        memory.list(10)


def test_the_oldest_go_when_there_is_no_room():
    memory = TraceMemory(100_000)
    for number in range(1, 2000):
        memory.add(decode(request(span(ROOT, trace=f"{number:032x}"))))
        assert memory.bytes <= 100_000
    assert 100 < len(memory) < 500
    assert memory.show(f"{1999:032x}") is not None
    assert memory.show(f"{1:032x}") is None
    began = time.process_time()
    memory.add(decode(request(*(span(f"{number:016x}") for number in range(1, MOST_SPANS + 100)))))
    assert time.process_time() - began < 10
    assert memory.bytes <= 100_000


def test_a_trace_has_an_end():
    memory = TraceMemory(10_000_000)
    memory.add(decode(request(*(span(f"{number:016x}") for number in range(1, MOST_SPANS + 100)))))
    assert memory.show(TRACE).summary.spans == MOST_SPANS
    assert memory.dropped == 99


def test_with_tokens_required_spans_come_from_services_only(stand, watched):
    secret = "s" * 40
    monitor = watched({"auth_required": True, "service_secret": secret}, books=stand())
    check_problem(send(monitor, request(span(ROOT))), 401)
    assert send(monitor, request(span(ROOT)), Authorization=f"Service {secret}").status_code == 200
    check_problem(monitor.get("/v2/monitor/traces"), 401)


def test_of_many_traces_the_newest_few_are_news_and_only_once():
    memory = TraceMemory(10_000_000)
    names = [f"{number:032x}" for number in range(1, NEWS + 11)]
    for name in names:
        memory.add(decode(request(span("b7ad6b7169203331", trace=name))))
    memory.add(decode(request(span("b7ad6b7169203332", trace=names[0]))))
    told = [each.trace_id for each in memory.news()]
    assert told == [*names[11:], names[0]]
    assert memory.news() == []
    small = TraceMemory(1)
    small.add(decode(request(span("b7ad6b7169203331"))))  # forgotten at once
    assert small.news() == []
