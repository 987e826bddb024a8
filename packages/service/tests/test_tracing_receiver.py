"""Receivers that are away, slow, frozen or unwilling: nobody who serves a request notices."""

import asyncio
import logging
from time import monotonic

import pytest

from bookstore.service.context import RequestContext, parse
from bookstore.service.otlp import encode
from bookstore.service.testing import eventually
from bookstore.service.testing.otlp import Receiver
from bookstore.service.testing.serving import free_port
from bookstore.service.tracing.exporter import LEAVE, Exporter
from bookstore.service.tracing.settings import read
from bookstore.service.tracing.span import Span
from bookstore.service.tracing.tracer import Tracer

QUEUE = 200
PROMISE = 5.0


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def export():
    """An exporter that runs."""
    made = []

    def start(url, **given):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "10"}
        variables |= {"OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE), **given}
        exporter = Exporter(read(variables), encode.resource({"service.name": "probe"}, "test"))
        exporter.start()
        made.append(exporter)
        return exporter

    yield start
    for exporter in made:
        exporter.close()


def some(exporter, count):
    for _ in range(count):
        Span(exporter.send, "GET", encode.SERVER, trace_id="a" * 32, span_id="b" * 16).end()


def told(caplog):
    return [(record.levelname, record.message) for record in caplog.records]


def test_what_waits_at_the_end_is_still_sent(export, receiver):
    exporter = export(receiver.url, OTEL_BSP_SCHEDULE_DELAY="60000")
    some(exporter, 5)
    exporter.close()
    assert len(receiver.spans) == exporter.sent == 5


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_headers_and_compression_are_as_asked(export, receiver, compression):
    exporter = export(
        receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="api-key=one%20two",
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
    )
    some(exporter, 3)
    eventually(lambda: len(receiver.spans) == 3)
    [request] = receiver.requests
    assert request.headers["api-key"] == "one two"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert parse(request.headers["traceparent"].encode())[2] == "00"  # nobody records how spans are sent
    assert request.headers.get("content-encoding", "none") == compression
    assert (request.method, request.target) == ("POST", "/v1/traces")


@pytest.mark.parametrize("manner", ["frozen", "slow", "busy", "away"])
def test_the_queue_is_bounded_and_the_end_is_prompt(export, receiver, caplog, manner):
    caplog.set_level(logging.INFO, "bookstore")
    url = receiver.url
    if manner == "away":
        url = f"http://127.0.0.1:{free_port()}"
    else:
        receiver.manner = manner
    exporter = export(url)
    for _ in range(20):
        some(exporter, QUEUE)
    assert len(exporter._waiting) <= QUEUE
    assert exporter.dropped >= 17 * QUEUE
    began = monotonic()
    exporter.close()
    assert monotonic() - began < min(PROMISE, LEAVE + 2)
    assert exporter.sent + exporter.refused + exporter.dropped <= 20 * QUEUE
    assert told(caplog).count(("WARNING", "traces can't be sent")) <= 1
    assert len(told(caplog)) <= 2


def test_while_the_queue_is_full_nothing_is_recorded_and_all_is_passed_on():
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_MAX_QUEUE_SIZE": "2"}
    tracer = Tracer("probe", "1", "one", variables)

    def begun():
        request = RequestContext("r", "a" * 32, "b" * 16)
        span = tracer.begin(request, "GET", encode.SERVER)
        assert request.span is span
        assert request.flags == "01"  # others may have room
        return span

    begun().end()
    last = begun()
    assert tracer.exporter.dropped == 0
    last.end()
    assert [begun(), begun()] == [None, None]
    assert tracer.exporter.dropped == 2
    tracer.exporter._waiting.clear()
    assert begun() is not None


def test_it_is_told_once_and_what_waited_arrives_when_it_is_back(export, receiver, caplog):
    caplog.set_level(logging.INFO, "bookstore")
    receiver.refuse()
    exporter = export(receiver.url)
    some(exporter, 10)
    eventually(lambda: told(caplog))
    some(exporter, 10)
    receiver.open()
    eventually(lambda: len(receiver.spans) == 20)
    eventually(lambda: exporter.sent == 20)
    assert told(caplog) == [("WARNING", "traces can't be sent"), ("INFO", "traces are sent again")]
    assert exporter.dropped == 0


def test_a_receiver_that_will_not_have_them_is_not_asked_again(export, receiver, caplog):
    receiver.manner = "refusing"
    exporter = export(receiver.url)
    for _ in range(3):
        some(exporter, 5)
        eventually(lambda: not exporter._waiting)
    assert exporter.refused == 15
    assert told(caplog) == [("WARNING", "traces can't be sent")]


def test_a_connection_that_was_closed_while_idle_costs_nothing(export, receiver, caplog):
    exporter = export(receiver.url)
    some(exporter, 1)
    eventually(lambda: exporter.sent == 1)
    receiver.refuse()
    receiver.open()
    some(exporter, 1)
    eventually(lambda: exporter.sent == 2)
    assert told(caplog) == []


@pytest.mark.quiet
@pytest.mark.parametrize("manner", ["frozen", "away"])
async def test_a_service_answers_and_ends_as_if_there_were_no_traces(make_service, connect, receiver, manner):
    if manner == "away":
        receiver.refuse()
    receiver.manner = "frozen"
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "10"}
    async with connect(make_service(otel=otel)) as client:
        for _ in range(50):
            assert (await client.get("/v2/things/7")).status_code == 200
        await asyncio.sleep(0.05)
        began = monotonic()
    assert monotonic() - began < PROMISE
