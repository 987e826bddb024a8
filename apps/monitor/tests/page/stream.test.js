import assert from "node:assert/strict";
import { test } from "node:test";

import { Events, LONGEST } from "../../src/bookstore/monitor/console/static/js/lib/sse.js";
import { KEPT, Series } from "../../src/bookstore/monitor/console/static/js/model/series.js";
import { pause } from "../../src/bookstore/monitor/console/static/js/net/stream.js";
import { AT, fault, picture } from "./pictures.js";

const STREAM = 'retry: 1000\n\nid: a-1\nevent: change\ndata: {"x":1}\n\n: still here\n\nevent: picture\ndata: one\ndata: two\n\ndata: plain\n\n';
const TOLD = [
    { type: "change", data: '{"x":1}', id: "a-1" },
    { type: "picture", data: "one\ntwo", id: "a-1" },
    { type: "message", data: "plain", id: "a-1" },
];

for (const [name, text] of [["\\n", STREAM], ["\\r\\n", STREAM.replaceAll("\n", "\r\n")], ["\\r", STREAM.replaceAll("\n", "\r") + ":\r"]]) {
    test(`events come whole, wherever the stream is cut; lines end in ${name}`, () => {
        for (const size of [1, 2, 3, 7, text.length]) {
            const events = new Events();
            const found = [];
            for (let at = 0; at < text.length; at += size) found.push(...events.take(text.slice(at, at + size)));
            assert.deepEqual(found, TOLD, String(size));
            assert.equal(events.retry, 1000);
        }
    });
}

test("what isn't understood is passed over", () => {
    assert.deepEqual(new Events().take("nonsense\nretry: soon\ndata\n\nevent: x\n\ndata:tight\n\n").map((each) => each.data), ["", "tight"]);
});

test("an event without an end is refused before it fills the memory", () => {
    const events = new Events();
    const piece = "x".repeat(LONGEST / 4);
    assert.throws(() => {
        for (let count = 0; count < 5; count++) events.take(piece);
    }, RangeError);
});

test("pauses grow, and end at eight seconds", () => {
    const pauses = [0, 1, 2, 3, 4, 5, 50, 5000].map((failures) => pause(failures, 0.5));
    assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
    assert.ok(pause(0, 0) < pause(0, 1));
});

const later = (seconds, rest = {}) => picture({ at: new Date(Date.parse(AT) + seconds * 1000).toISOString(), ...rest });

test("figures of the last minutes are kept, and no more", () => {
    const series = new Series();
    for (let second = 0; second < KEPT * 3; second++) series.add(later(second));
    assert.ok(series.points.length <= KEPT + 1);
    assert.deepEqual(series.columns(["orders", "waiting"]).map((column) => column.at(-1)), [Date.parse(AT) / 1000 + KEPT * 3 - 1, 2, 0]);
});

test("a picture twice, one from the past or without a time adds nothing", () => {
    const series = new Series();
    series.add(later(10));
    for (const again of [later(10), later(3), picture({ at: "soon" })]) series.add(again);
    assert.equal(series.points.length, 1);
});

test("a line is broken where nothing was heard", () => {
    const series = new Series();
    for (const second of [0, 1, 30, 31]) series.add(later(second));
    assert.deepEqual(series.columns(["orders"])[1], [2, 2, null, 2, 2]);
});

test("the time of a fault is marked for as long as it lasted", () => {
    const series = new Series();
    for (let second = 0; second < 10; second++) series.add(later(second, { faults: second < 5 ? [fault("supplier", "down", { since: AT })] : [] }));
    assert.deepEqual(series.windows.map(({ from, to, name }) => [to - from, name]), [[4, "supplier down"]]);
});
