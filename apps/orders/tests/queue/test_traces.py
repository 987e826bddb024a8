"""A job in traces: its tries, what kept it from being done, and its later deliveries."""

import secrets

import pytest

from bookstore.service.testing.otlp import Receiver

PARENT = "b7ad6b7169203331"


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


class Scene:
    """A worker that sends its traces, and orders that were placed in traces."""

    def __init__(self, run_worker, book, outside, receiver):
        self._run_worker = run_worker
        self.book = book
        self.outside = outside
        self.receiver = receiver

    def run(self):
        url = self.receiver.url
        return self._run_worker(otel={"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "10"})

    def order(self, flags="01"):
        """Place an order; gives its trace."""
        trace_id = secrets.token_hex(16)
        [order] = self.book.place()
        made_in = f"00-{trace_id}-{PARENT}-{flags}"
        self.book.do("UPDATE ledger SET traceparent = %s WHERE order_id = %s", made_in, order)
        return trace_id

    def processed(self, trace_id):
        """The processings of what was made in a trace, in order; later ones are traces of their own."""
        spans = [span for span in self.receiver.spans if span.kind == "CONSUMER"]
        linked = [span for span in spans if any(link.trace_id == trace_id for link in span.links)]
        return sorted(linked, key=lambda span: span.started)

    def below(self, span):
        found = (each for each in self.receiver.spans if each.parent_id == span.span_id)
        return sorted(found, key=lambda each: each.started)


@pytest.fixture
def scene(run_worker, book, outside, receiver):
    return Scene(run_worker, book, outside, receiver)


def ended_well(spans):
    return any(span.attributes.get("bookstore.outcome") == "Validated" for span in spans)


def test_tries_refusals_and_later_deliveries_are_told(scene, eventually):
    scene.outside.mode = "error"
    trace_id = scene.order()
    with scene.run() as worker:
        # Three tries an episode; after eight failures in a row the circuit refuses, in the third episode.
        eventually(lambda: worker.metric("bookstore_breaker_rejected_total", dependency="supplier") >= 1)
        scene.outside.mode = "normal"
        scene.book.settled()
        assert scene.book.states() == ["Validated"]
        eventually(lambda: ended_well(scene.processed(trace_id)))
    first, second, third, *_, last = every = scene.processed(trace_id)
    assert (first.trace_id, first.parent_id) == (trace_id, PARENT)
    assert (second.parent_id, third.parent_id, last.parent_id) == ("", "", "")
    assert len({first.trace_id, second.trace_id, third.trace_id, last.trace_id}) == 4
    assert [link.span_id for link in last.links] == [PARENT]
    tries = scene.below(first)
    assert [(each.name, each.kind) for each in tries] == [("POST /validate", "CLIENT")] * 3
    assert [each.attributes.get("http.request.resend_count") for each in tries] == [None, 1, 2]
    assert [each.attributes["error.type"] for each in tries] == ["500"] * 3
    assert [event.name for event in first.events] == ["resilience.retry"] * 2
    assert (first.attributes["bookstore.outcome"], first.status) == ("Parked", "ERROR")
    assert first.attributes["error.type"] == "5xx"
    assert [span.attributes["bookstore.delivery"] for span in (first, second, third)] == [1, 2, 3]
    told = {event.name for span in every for event in span.events}
    assert {"resilience.retry", "resilience.rejected", "resilience.transition"} <= told
    assert (last.attributes["bookstore.outcome"], last.status) == ("Validated", "UNSET")


def test_the_bell_shows_in_the_trace(scene):
    trace_id = scene.order()
    with scene.run():
        scene.book.settled()
        spans = scene.receiver.wait_for(lambda spans: len(spans) >= 3, trace_id)
    sent = next(span for span in spans if span.name == "send bookstore:validations")
    assert (sent.kind, sent.parent_id) == ("CLIENT", PARENT)
    assert sent.attributes["messaging.message.id"] == "1"
    assert sent.attributes["messaging.batch.message_count"] == 1


def test_who_was_not_recorded_stays_so(scene):
    unseen, seen = scene.order("00"), scene.order("01")
    with scene.run():
        scene.book.settled()
        scene.receiver.wait_for(lambda spans: len(spans) >= 3, seen)
    assert not scene.receiver.trace(unseen)
    told = [headers["traceparent"].split("-") for headers in scene.outside.headers]
    assert {trace_id: flags for _, trace_id, _, flags in told} == {unseen: "00", seen: "01"}
