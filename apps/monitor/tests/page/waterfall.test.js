import assert from "node:assert/strict";
import { test } from "node:test";

import { errorOf, eventText, rows, ticks } from "../../src/bookstore/monitor/console/static/js/model/waterfall.js";

const span = (span_id, parent_id, offset_ms, duration_ms, rest = {}) => ({
    span_id,
    parent_id,
    name: span_id,
    kind: "INTERNAL",
    service: "orders",
    started_at: "2026-11-21T14:00:00Z",
    offset_ms,
    duration_ms,
    error: false,
    attributes: {},
    events: [],
    links: [],
    ...rest,
});

const trace = (...spans) => ({
    summary: { trace_id: "t", name: "n", service: "s", started_at: "", duration_ms: Math.max(...spans.map((each) => each.offset_ms + each.duration_ms)), spans: spans.length, services: [], errors: 0 },
    spans,
});

const shape = (found) => found.map((row) => (row.kind === "wait" ? `${".".repeat(row.depth)}wait ${row.to - row.from}` : `${".".repeat(row.depth)}${row.span.span_id}`));

test("a span stands under the one that caused it, in the order of time", () => {
    const found = rows(trace(span("a", "", 0, 100), span("b", "a", 10, 20), span("c", "b", 12, 5), span("d", "a", 40, 20), span("e", "", 60, 5)));
    assert.deepEqual(shape(found), ["a", ".b", "..c", ".d", "e"]);
    assert.equal(found[0].folds, 2);
});

test("what is folded leaves out all below", () => {
    const told = trace(span("a", "", 0, 100), span("b", "a", 10, 20), span("c", "b", 12, 5), span("d", "a", 40, 20));
    assert.deepEqual(shape(rows(told, new Set(["b"]))), ["a", ".b", ".d"]);
});

test("an order that waits in the queue is seen to wait", () => {
    const found = rows(trace(span("order", "", 0, 12), span("create", "order", 7, 3, { kind: "PRODUCER" }), span("process", "create", 9390, 17, { kind: "CONSUMER" })));
    assert.deepEqual(shape(found), ["order", ".create", "..wait 9378", "..process"]);
    assert.equal(found[2].text, "waits in the queue");
});

test("short pauses are not worth a row", () => {
    assert.deepEqual(shape(rows(trace(span("a", "", 0, 10), span("b", "", 40, 10)))), ["a", "b"]);
    assert.deepEqual(shape(rows(trace(span("a", "", 0, 1000), span("b", "", 1100, 1000)))), ["a", "b"]);
});

test("orphans, circles, twins and impossible numbers break nothing", () => {
    const found = rows(trace(span("a", "b", 0, 5), span("b", "a", 1, 5), span("c", "nobody", NaN, -3), span("d", "d", 2, 1), span("d", "a", 2, 1)));
    assert.equal(found.filter((row) => row.kind === "span").length, 4);
    assert.ok(found.every((row) => Number.isFinite(row.from) && row.to >= row.from));
});

test("a chain of two thousand is walked without recursion", () => {
    const spans = Array.from({ length: 2000 }, (_, index) => span(`s${index}`, index ? `s${index - 1}` : "", index, 1));
    assert.equal(rows(trace(...spans)).filter((row) => row.kind === "span").at(-1).depth, 1999);
});

test("an axis has round figures", () => {
    assert.deepEqual(ticks(9400, 6), [0, 2000, 4000, 6000, 8000]);
    assert.deepEqual(ticks(0.8, 4), [0, 0.2, 0.4, 0.6000000000000001, 0.8]);
    assert.deepEqual(ticks(0), [0]);
    assert.deepEqual(ticks(NaN), [0]);
});

test("events and errors in a line", () => {
    assert.equal(eventText({ name: "resilience.retry", attributes: { "resilience.attempt": "1" } }), "resilience.retry  attempt=1");
    assert.equal(errorOf(span("a", "", 0, 1, { error: true, attributes: { "error.type": "ConnectFailed" } })), "ConnectFailed");
    assert.equal(errorOf(span("a", "", 0, 1, { error: true, attributes: { "http.response.status_code": "503" } })), "status 503");
    assert.equal(errorOf(span("a", "", 0, 1, { error: true })), "failed");
    assert.equal(errorOf(span("a", "", 0, 1)), "");
});
