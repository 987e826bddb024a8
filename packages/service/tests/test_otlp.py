"""The bytes of OTLP, beside OpenTelemetry's own definition of them."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bookstore.service.otlp import Malformed, decode, encode
from bookstore.service.tracing.span import Span

VALUES = st.one_of(
    st.text(max_size=20),
    st.just("é" * 300),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
ATTRIBUTES = st.dictionaries(st.text(st.characters(codec="ascii"), max_size=10), VALUES, max_size=3)


def encoded(spans, **resource):
    return encode.request(encode.resource(resource, "test"), spans)


def plain(attributes):
    """Attributes of OpenTelemetry's own classes, as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def kept(attributes):
    """What is left of attributes: long texts are cut, and what is no text in UTF-8 is replaced."""
    return {key: value[:256] if isinstance(value, str) else value for key, value in attributes.items()}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50, deadline=None)
@given(attributes=ATTRIBUTES, more=ATTRIBUTES)
def test_what_is_sent_is_what_opentelemetry_reads(attributes, more):
    sent = []
    link = encode.link("c" * 32, "d" * 16, more)
    span = Span(
        sent.append, "GET /a", encode.SERVER, trace_id="a" * 32, span_id="b" * 16, parent_id="e" * 16,
        of_caller=True, tracestate="k=v", links=[link],
    )  # fmt: skip
    for key, value in attributes.items():
        span.set(key, value)
    span.event("something", more)
    span.fail("Broken")
    span.end()
    span.end()
    assert len(sent) == 1
    body = encoded(sent, **{"service.name": "books", "process.pid": 300})
    theirs = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    assert plain(theirs.resource.attributes) == {"service.name": "books", "process.pid": 300}
    assert theirs.scope_spans[0].scope.name == "test"
    (one,) = theirs.scope_spans[0].spans
    assert (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex()) == ("a" * 32, "b" * 16, "e" * 16)
    assert (one.name, one.kind, one.trace_state, one.flags, one.status.code) == ("GET /a", 2, "k=v", 0x301, 2)
    assert plain(one.attributes) == kept(attributes) | {"error.type": "Broken"}
    assert plain(one.events[0].attributes) == plain(one.links[0].attributes) == kept(more)
    assert 0 < one.start_time_unix_nano <= one.events[0].time_unix_nano <= one.end_time_unix_nano
    (ours,) = decode(body)
    assert ours.attributes == plain(one.attributes)
    assert ours.events[0].attributes == ours.links[0].attributes == kept(more)
    assert (ours.service, ours.kind, ours.status, ours.parent_id) == ("books", "SERVER", "ERROR", "e" * 16)
    assert (ours.started, ours.ended) == (one.start_time_unix_nano, one.end_time_unix_nano)


def test_what_others_send_is_read():
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add(schema_url="s")
    span = of_resource.scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="x")
    span.dropped_attributes_count = 7
    one = span.attributes.add(key="many")
    one.value.array_value.values.add(string_value="a")
    one.value.array_value.values.add(int_value=-1)
    span.attributes.add(key="none")
    table = span.attributes.add(key="table").value.kvlist_value.values.add(key="inner")
    table.value.bytes_value = b"\0"
    (ours,) = decode(request.SerializeToString())
    assert ours.attributes == {"many": ["a", -1], "none": None, "table": {"inner": b"\0"}}
    assert (ours.kind, ours.status, ours.parent_id, ours.service) == ("UNSPECIFIED", "UNSET", "", "")


def test_a_span_holds_so_many_events_and_no_more():
    sent = []
    span = Span(sent.append, "x", encode.INTERNAL, trace_id="a" * 32, span_id="b" * 16)
    for number in range(100):
        span.event("again", {"number": number})
    span.end()
    (one,) = ExportTraceServiceRequest.FromString(encoded(sent)).resource_spans[0].scope_spans[0].spans
    assert (len(one.events), one.dropped_events_count) == (32, 68)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_otlp_are_said_to_be_so(body):
    with suppress(Malformed):
        decode(body)


@pytest.mark.parametrize("body", [b"\x0a\x05abc", b"\x0a" + b"\xff" * 20, b"\x0b", b"{}", b"\x0a"])
def test_these_too(body):
    with pytest.raises(Malformed):
        decode(body)
