import assert from "node:assert/strict";
import { test } from "node:test";

import { bytes, clock, count, counted, list, millis, percent, rate, seconds, short, time, words } from "../../src/bookstore/monitor/console/static/js/lib/format.js";
import { circuitWord, isBroken, rank } from "../../src/bookstore/monitor/console/static/js/model/circuits.js";
import { h } from "../../src/bookstore/monitor/console/static/js/lib/dom.js";

const CASES = [
    [count, [[1234567, "1,234,567"], [null, "–"], [NaN, "–"]]],
    [rate, [[0, "0"], [0.04, "0.0"], [5.92, "5.9"], [123.4, "123"], [undefined, "–"]]],
    [millis, [[0.42, "0.4 ms"], [23.4, "23 ms"], [1240, "1.24 s"], [42_000, "42 s"], [125_000, "2 min 5 s"], [null, "–"], [Infinity, "–"]]],
    [seconds, [[0, "0 s"], [4.25, "4.3 s"], [59.4, "59 s"], [60, "1 min"], [3600, "1 h"], [7860, "2 h 11 min"]]],
    [clock, [[42, "0:42"], [0.2, "0:01"], [-5, "0:00"], [545, "9:05"]]],
    [percent, [[1, "100 %"], [0.99995, "99.9 %"], [0.0001, "0.1 %"], [0, "0 %"], [0.384, "38 %"], [0.996, "99.6 %"], [-0.5, "-50 %"], [null, "–"]]],
    [bytes, [[812, "812 B"], [24_300, "24 kB"], [1_540_000, "1.5 MB"]]],
    [list, [[[], ""], [["a"], "a"], [["a", "b", "c"], "a, b and c"]]],
    [words, [["accept_then_reset", "accept then reset"]]],
    [time, [["nonsense", "–"], [null, "–"]]],
];

for (const [say, pairs] of CASES) {
    test(`${say.name} in words`, () => {
        for (const [value, expected] of pairs) assert.equal(say(value), expected);
    });
}

test("one and many", () => {
    assert.deepEqual([counted(1, "order"), counted(2, "order"), counted(2, "order waits", "orders wait")], ["1 order", "2 orders", "2 orders wait"]);
    assert.equal(short("abcdef", 4), "abc…");
});

test("circuits in words, the worst first, strange ones unknown", () => {
    const states = ["closed", "half_open", "open", "forced_open", null, "toString"];
    assert.deepEqual([...states].sort((one, other) => rank(one) - rank(other)).slice(0, 4), ["forced_open", "open", "half_open", "closed"]);
    assert.deepEqual(states.map(isBroken), [false, true, true, true, false, false]);
    assert.deepEqual(states.map(circuitWord), ["closed", "half-open", "open", "forced open", "unknown", "unknown"]);
});

test("a tree holds text and nothing else", () => {
    const hostile = "<img src=x onerror=alert(1)>";
    assert.deepEqual(h("p", { key: 7, class: "a" }, [hostile, [null, false, 0, undefined, ""]]), { tag: "p", key: "7", attrs: { class: "a" }, kids: [hostile, "0"] });
});
