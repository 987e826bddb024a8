"""What a service tells of a request, as a receiver of traces gets it."""

import asyncio
import json
import subprocess
import sys

import psycopg
import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, Retry
from bookstore.service import context
from bookstore.service.batch import Batch
from bookstore.service.database import Database
from bookstore.service.testing.otlp import Receiver
from bookstore.service.tracing import Tracer, span_events
from bookstore.service.tracing.http import safe_path, template
from bookstore.service.tracing.queue import Processing, begin_message, sent
from bookstore.service.tracing.sql import summary
from bookstore.service.upstream import ConnectFailed, Upstream

from .stage import OK, address, always, closed_port

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def otel(receiver):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "10"}


@pytest.fixture
def told(receiver):
    """The spans of a trace, once there are so many."""

    def wait(count, trace_id):
        return receiver.wait_for(lambda spans: len(spans) >= count, trace_id)

    return wait


async def _told(told, count, trace_id):
    return await asyncio.to_thread(told, count, trace_id)


@pytest.fixture
async def traced(make_service, connect, otel):
    async with connect(make_service(otel=otel)) as client:
        yield client


async def test_a_request_is_a_span_of_its_caller(traced, told):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "k=v"}
    answer = await traced.get("/v2/things/7?limit=3&email=a@b.example", headers=headers)
    assert answer.headers["x-trace-id"] == TRACE
    (span,) = await _told(told, 1, TRACE)
    assert (span.name, span.kind, span.parent_id) == ("GET /v2/things/{thing_id}", "SERVER", PARENT)
    assert (span.status, span.tracestate) == ("UNSET", "k=v")
    assert span.attributes == {
        "http.request.method": "GET", "url.scheme": "http", "network.protocol.version": "1.1",
        "http.response.status_code": 200, "http.route": "/v2/things/{thing_id}", "url.path": "/v2/things/7",
    }  # fmt: skip
    assert {key: span.resource[key] for key in ("service.name", "service.version")} == {
        "service.name": "probe",
        "service.version": "1.2.3",
    }
    assert span.resource["service.instance.id"] == (await traced.get("/whoami")).json()["instance"]


@pytest.mark.parametrize(
    ("asked", "name", "ending"),
    [
        ("GET /broken", "GET /broken", (500, "500", ["exception"])),
        ("GET /refused", "GET /refused", (503, "503", [])),
        ("GET /nowhere/17", "GET", (404, None, [])),
        ("BREW /v2/things/7", "HTTP", (405, None, [])),
        ("POST /v2/things", "POST /v2/things", (422, None, [])),
    ],
)
async def test_what_ends_badly(traced, told, asked, name, ending):
    (method, path), (status, error, events) = asked.split(" "), ending
    answer = await traced.request(method, path)
    trace_id = answer.headers["x-trace-id"]
    assert answer.json()["trace_id"] == trace_id
    (span,) = await _told(told, 1, trace_id)
    assert (span.name.split(" /nowhere")[0], span.parent_id) == (name, "")
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type") == error
    assert span.status == ("ERROR" if error else "UNSET")
    assert [event.name for event in span.events] == events
    assert "secret detail" not in str(span)


async def test_what_became_of_spans_is_counted(traced, told):
    await _told(told, 1, (await traced.get("/whoami")).headers["x-trace-id"])
    for _ in range(100):
        text = (await traced.get("/metrics")).text
        if 'bookstore_spans_total{outcome="sent"} 1.0' in text:  # it is counted after it was taken
            break
        await asyncio.sleep(0.05)
    assert 'bookstore_spans_total{outcome="sent"} 1.0' in text
    assert 'bookstore_spans_total{outcome="dropped"} 0.0' in text


@pytest.mark.parametrize("quiet", ["/health", "/health/live", "/health/ready", "/metrics"])
async def test_who_only_looks_leaves_no_trace(traced, told, receiver, quiet):
    trace_id = (await traced.get(quiet)).headers["x-trace-id"]
    seen = (await traced.get("/whoami")).headers["x-trace-id"]
    await _told(told, 1, seen)
    assert not receiver.trace(trace_id)


@pytest.mark.parametrize(
    ("sampler", "flags", "recorded", "passed_on"),
    [
        ("", None, True, "01"),
        ("parentbased_traceidratio", None, False, "00"),
        ("parentbased_traceidratio", "01", True, "01"),
        ("parentbased_always_on", "00", False, "00"),
        ("parentbased_always_on", "03", True, "03"),
        ("always_off", "01", False, "00"),
    ],
)
def test_who_is_recorded_and_what_is_passed_on(otel, sampler, flags, recorded, passed_on):
    given = otel | {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0"}
    tracer = Tracer("probe", "1", "one", given)
    caller = f"00-{TRACE}-{PARENT}-{flags}".encode() if flags else None
    request = context.begin(request_id=None, traceparent=caller, tracestate=None, traced=True)
    assert (tracer.begin(request, "GET", 2) is not None) == recorded
    context.current.set(request)
    assert dict(context.outgoing_headers())[b"traceparent"].endswith(f"-{passed_on}".encode())


async def test_one_in_ten_is_one_in_ten(otel):
    tracer = Tracer("probe", "1", "one", otel | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                                                  "OTEL_TRACES_SAMPLER_ARG": "0.1"})  # fmt: skip
    requests = [
        context.begin(request_id=None, traceparent=None, tracestate=None, traced=True) for _ in range(5000)
    ]
    share = sum(tracer.begin(request, "GET", 2) is not None for request in requests) / len(requests)
    assert 0.07 < share < 0.13


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"session.id=a1,user=ana@example.com,scenario=outage;p=1", "session.id=a1,scenario=outage"),
        (b"session.id=" + b"x" * 65, ""),
        (b"scenario=a b", ""),
        (b"Authorization=Bearer x", ""),
        (b",".join(b"k%d=v" % number for number in range(10_000)), ""),
    ],
)
def test_baggage_is_passed_on_if_it_is_ours(given, kept):
    request = context.begin(request_id=None, traceparent=None, tracestate=None, baggage=given, traced=True)
    context.current.set(request)
    assert dict(context.outgoing_headers()).get(b"baggage", b"") == kept.encode()


@pytest.fixture
def in_request(otel):
    """Do something as if a request were served, with a tracer that sends; gives the request."""

    async def run(work, flags="01", several=1):
        tracer = Tracer("probe", "1", "one", otel)

        async def one(number):
            parent = f"00-{number:032x}-{PARENT}-{flags}".encode()
            request = context.begin(request_id=b"r", traceparent=parent, tracestate=None, traced=True)
            span = tracer.begin(request, "GET /test", 2)
            context.current.set(request)
            try:
                await work(number)
            finally:
                if span:
                    span.end()
            return request

        async with tracer:
            first = int(context.new_trace_id()[:30], 16)
            return await asyncio.gather(*(one(first + number) for number in range(several)))

    return run


async def test_each_try_is_a_span_and_what_policies_decide_is_told(in_request, told):
    peer = always(OK)

    async def work(_):
        async with peer.client() as client, Upstream(f"http://127.0.0.1:{closed_port()}") as nobody:
            assert (await client.request("GET", "/v1/books/17?q=secret")).status == 200
            breaker = Breaker(name="books", consecutive=3, open_for=60)
            pipeline = Pipeline("books", Retry(attempts=4, delay=0.0), breaker, sinks=[span_events])
            with pytest.raises(CircuitOpen):
                await pipeline.call(nobody.request, "GET", "/v1/books/1f0e9a7c-4c7b-4b57-8d52-6a5d6f2c9a11")

    (request,) = await in_request(work)
    server, *calls = sorted(await _told(told, 5, request.trace_id), key=lambda span: span.started)
    assert [call.parent_id for call in calls] == [request.span_id] * 4
    assert [call.name for call in calls] == ["GET /v1/books/{id}"] * 4
    assert [call.attributes.get("http.request.resend_count") for call in calls] == [None, None, 1, 2]
    assert [call.attributes.get("error.type") for call in calls] == [None, *["ConnectFailed"] * 3]
    assert calls[0].attributes["http.response.status_code"] == 200
    assert calls[0].attributes["url.full"].endswith("/v1/books/17")
    events = [event.name.removeprefix("resilience.") for event in server.events]
    assert events.count("retry") == 3
    assert events[-1] == "rejected"
    assert "transition" in events
    assert f"traceparent: 00-{request.trace_id}-{calls[0].span_id}-01".encode() in peer.heads[0]


async def test_a_caller_that_changes_its_mind_is_no_error(in_request, told):
    asked = asyncio.Event()

    async def silent(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)

    async def work(_):
        async with Upstream(address(server)) as client:
            task = asyncio.create_task(client.request("GET", "/slow", timeout=20.0))
            await asked.wait()
            task.cancel()
            await asyncio.wait({task})

    (request,) = await in_request(work)
    server.close()
    call = next(span for span in await _told(told, 2, request.trace_id) if span.kind == "CLIENT")
    assert (call.status, call.attributes.get("error.type")) == ("UNSET", None)


async def test_statements_are_told_without_their_text(in_request, told, postgres_database):
    async def work(_):
        async with Database(postgres_database) as database, database.connection() as connection:
            await connection.execute("CREATE TABLE people (email text)")
            await connection.execute("INSERT INTO people VALUES ('ana@example.com')")
            await connection.execute("SELECT email FROM people WHERE email = %s", ("ana@example.com",))
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("DELETE FROM nobody WHERE secret = 'x'")

    (request,) = await in_request(work)
    spans = sorted(await _told(told, 5, request.trace_id), key=lambda span: span.started)[1:]
    assert [span.name for span in spans] == ["CREATE", "INSERT people", "SELECT people", "DELETE nobody"]
    assert spans[2].attributes == {
        "db.system.name": "postgresql", "db.namespace": postgres_database.rpartition("/")[2],
        "db.operation.name": "SELECT", "db.collection.name": "people", "db.query.summary": "SELECT people",
    }  # fmt: skip
    assert (spans[3].attributes["db.response.status_code"], spans[3].status) == ("42P01", "ERROR")
    assert not any(word in str(spans) for word in ("ana@", "'x'", "secret"))


async def test_what_is_asked_together_shows_in_each_request(in_request, told, postgres_database):
    async with Database(postgres_database) as database:

        async def fetch(keys):
            await database.fetch("SELECT relname FROM pg_class")
            return dict.fromkeys(keys, 1)

        batch = Batch(fetch, width=1)
        requests = await in_request(batch.load, several=3)
    for request in requests:
        spans = await _told(told, 2, request.trace_id)
        assert {span.name for span in spans} == {"GET /test", "SELECT pg_class"}


async def test_who_is_not_recorded_has_no_parts_either(in_request, receiver, told):
    async def work(_):
        async with always(OK).client() as client:
            await client.request("GET", "/")
        traceparent, message = begin_message("queue", context.current.get())
        assert traceparent.endswith("-00")
        assert message is None
        sent("queue", 1, traceparent, together=1)
        with Processing("queue", 1, request_id="j", made_in=traceparent, delivery=1) as span:
            assert span is None

    (request,) = await in_request(work, flags="00")
    assert request.span is None
    (seen,) = await in_request(lambda _: asyncio.sleep(0))
    await _told(told, 1, seen.trace_id)
    assert not receiver.trace(request.trace_id)


async def test_a_message_is_worked_on_in_its_trace_and_later_in_one_of_its_own(in_request, told, receiver):
    async def work(_):
        made_in, message = begin_message("queue", context.current.get())
        message.end()
        sent("queue", 7, made_in, together=2)
        for delivery in (1, 2):
            with Processing("queue", 7, request_id="job", made_in=made_in, delivery=delivery):
                assert context.current.get().request_id == "job"
        with pytest.raises(ConnectFailed), Processing("q", 8, request_id="j", made_in=made_in, delivery=1):
            raise ConnectFailed("no")

    (request,) = await in_request(work)
    spans = await _told(told, 5, request.trace_id)
    made = next(span for span in spans if span.kind == "PRODUCER")
    assert (made.name, made.parent_id) == ("create queue", request.span_id)
    below = {span.name: span for span in spans if span.parent_id == made.span_id}
    assert {name: span.kind for name, span in below.items()} == {
        "send queue": "CLIENT", "process queue": "CONSUMER", "process q": "CONSUMER",
    }  # fmt: skip
    assert below["process q"].attributes["error.type"] == "ConnectFailed"
    again = [span for span in receiver.spans if span.attributes.get("bookstore.delivery") == 2]
    (again,) = [span for span in again if span.links[0].span_id == made.span_id]
    assert (again.trace_id != made.trace_id, again.parent_id) == (True, "")
    for span in (again, below["process queue"]):
        assert [(link.trace_id, link.span_id) for link in span.links] == [(made.trace_id, made.span_id)]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT 1", ("SELECT", ())),
        ("  select a from b join c using (d) where x = 'from y'", ("SELECT", ("b",))),
        ("WITH f AS (SELECT id FROM a FOR UPDATE) UPDATE a b SET x = 1 FROM f", ("UPDATE", ("a",))),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1", ("INSERT", ("a",))),
        ("WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x", ("DELETE", ("a", "b"))),
        ('LISTEN "orders"', ("LISTEN", ())),
    ],
)  # fmt: skip
def test_the_summary_of_a_statement(query, told):
    assert summary(query) == told


@pytest.mark.parametrize(
    ("path", "shown", "named"),
    [
        ("/v1/books/17", "/v1/books/17", "/v1/books/{id}"),
        ("/v1/books", "/v1/books", "/v1/books"),
        ("/a/ana@example.com/b", "/a/-/b", "/a/-/b"),
        ("/a/ana%40example.com", "/a/-", "/a/-"),
        ("/a/" + "e" * 65, "/a/-", "/a/-"),
        ("/r/0b8f1a9e-1b7e-4c3f-8a53-000000000000/commit",) * 2 + ("/r/{id}/commit",),
    ],
)
def test_paths_as_they_are_shown(path, shown, named):
    assert safe_path(path) == shown
    assert template(shown) == named


def test_the_log_lines_of_a_request_carry_its_ids():
    program = (
        "import logging\n"
        "from bookstore.service import context, logs\n"
        "logs.configure('probe', 'one', 'info')\n"
        f"request = context.begin(request_id=b'r1', traceparent=b'00-{TRACE}-{PARENT}-01',"
        " tracestate=None, traced=True)\n"
        "context.current.set(request)\n"
        "logging.getLogger('x').info('ana@example.com came', extra={'cause':"
        " 'postgresql://u:pa55word@h/d Bearer abc.def eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln'})\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    line = json.loads(out)
    assert (line["service"], line["request_id"], line["trace_id"]) == ("probe", "r1", TRACE)
    assert len(line["span_id"]) == 16
    assert not any(word in out for word in ("ana@", "pa55word", "abc.def", "eyJ"))


def test_where_nothing_is_configured_nothing_of_opentelemetry_is_there():
    program = (
        "import sys, threading\n"
        "from bookstore.service.app import Service\n"
        "from bookstore.service.settings import Settings\n"
        "service = Service('probe', '1', Settings(port=0))\n"
        "assert service.tracer.exporter is None\n"
        "print('opentelemetry.sdk' in sys.modules, threading.active_count())\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out == "False 1\n"
