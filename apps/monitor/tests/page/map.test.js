import assert from "node:assert/strict";
import { test } from "node:test";

import { border, kind, neighbour, scene, stateOf, width } from "../../src/bookstore/monitor/console/static/js/model/map.js";
import { NARROW, WIDE } from "../../src/bookstore/monitor/console/static/js/model/places.js";
import { edge, fault, node, picture } from "./pictures.js";

const PLANS = { WIDE, NARROW };

for (const [name, plan] of Object.entries(PLANS)) {
    test(`${name}: everybody is within the map, and nobody on another`, () => {
        const places = [...Object.values(plan.at), ...plan.free];
        const { width, height } = plan.box;
        for (const [index, one] of places.entries()) {
            assert.ok(one.x - width / 2 >= 0 && one.x + width / 2 <= plan.width, `${name} ${index}`);
            for (const other of places.slice(index + 1)) {
                assert.ok(Math.abs(one.x - other.x) >= width || Math.abs(one.y - other.y) >= height, `${index}: ${JSON.stringify([one, other])}`);
            }
        }
        for (const each of Object.values(plan.at)) assert.ok(each.y + height / 2 <= plan.height);
    });
}

test("services stand where they always do, and edges lead from border to border", () => {
    const found = scene(picture().topology, WIDE);
    assert.deepEqual(found.spots.find((spot) => spot.node.service === "orders").at, WIDE.at.orders);
    const line = found.lines.find((each) => each.id === "orders-worker>supplier");
    assert.equal(line.path, "M826 366 L942 366");
    assert.deepEqual(line.middle, WIDE.labels["orders-worker>supplier"]);
    const unlabelled = scene(picture().topology, { ...WIDE, labels: {} }).lines.find((each) => each.id === line.id);
    assert.deepEqual(unlabelled.middle, { x: 884, y: 366 });
    assert.deepEqual(border({ x: 0, y: 0 }, { x: 0, y: 100 }, { width: 10, height: 20 }), { x: 0, y: 14 });
});

test("who is new to the map gets a free place while there is something to see of it", () => {
    const calm = picture();
    calm.topology.services.push(node("playground"), node("supplier-control"));
    calm.topology.edges.push(edge("playground", "supplier", { calls_per_second: 0, success_share: null }));
    assert.deepEqual(scene(calm.topology, WIDE).beside.map((each) => each.service), ["playground", "supplier-control"]);
    calm.topology.edges.at(-1).calls_per_second = 3;
    calm.topology.edges.push(edge("playground", "supplier-control"));
    const busy = scene(calm.topology, WIDE);
    assert.deepEqual(busy.spots.find((spot) => spot.node.service === "playground").at, WIDE.free[0]);
    assert.ok(busy.lines.some((line) => line.id === "playground>supplier"));
    // A further port of a process is no place of its own.
    assert.deepEqual(busy.beside.map((each) => each.service), ["supplier-control"]);
});

test("more strangers than places, circles and unknown ends break nothing", () => {
    const crowd = picture();
    for (let index = 0; index < 50; index++) {
        crowd.topology.services.push(node(`service-${index}`));
        crowd.topology.edges.push(edge(`service-${index}`, "nobody"), edge(`service-${index}`, `service-${index}`));
    }
    const found = scene(crowd.topology, NARROW);
    assert.equal(found.spots.length, 8 + NARROW.free.length);
    assert.equal(found.beside.length, 50 - NARROW.free.length);
});

const KINDS = [
    [{}, { kind: "flows", tone: "well" }],
    [{ calls_per_second: 0, success_share: null }, { kind: "idle", tone: "well" }],
    [{ calls_per_second: null, success_share: null, circuit: null }, { kind: "idle", tone: "unknown" }],
    [{ success_share: 0.95 }, { kind: "failing", tone: "watch" }],
    [{ success_share: 0.2 }, { kind: "failing", tone: "bad" }],
    [{ circuit: "open" }, { kind: "held", tone: "bad" }],
    [{ circuit: "forced_open", calls_per_second: null }, { kind: "held", tone: "bad" }],
    [{ circuit: "half_open" }, { kind: "held", tone: "watch" }],
];

for (const [rest, expected] of KINDS) {
    test(`a line is drawn by what becomes of its calls: ${JSON.stringify(rest)}`, () => {
        assert.deepEqual(kind(edge("orders", "books", rest), node("books")), expected);
    });
}

test("a way to a store is as the store is", () => {
    const way = edge("orders", "postgres", { calls_per_second: null, success_share: null, circuit: null });
    assert.deepEqual(kind(way, node("postgres", { kind: "store", status: "DOWN" })), { kind: "failing", tone: "bad" });
});

test("a thicker line has more calls, and there is an end to it", () => {
    const widths = [null, 0, 0.5, 5, 50, 1e9].map(width);
    assert.deepEqual([...widths].sort((one, other) => one - other), widths);
    assert.ok(widths.at(-1) <= 9);
    assert.equal(width(-5), 1.25);
});

test("trouble is drawn on top", () => {
    const found = scene(picture({ edges: [edge("gateway", "books", { circuit: "open" })] }).topology, WIDE);
    assert.equal(found.lines.at(-1).id, "gateway>books");
    assert.equal(found.lines[0].store, true);
});

test("arrow keys reach everybody", () => {
    for (const plan of Object.values(PLANS)) {
        const { spots } = scene(picture().topology, plan);
        const seen = new Set(["gateway"]);
        for (const name of seen) {
            for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
                const next = neighbour(spots, name, key);
                if (next) seen.add(next);
            }
        }
        assert.equal(seen.size, spots.length);
    }
    const { spots } = scene(picture().topology, WIDE);
    assert.equal(neighbour(spots, "gateway", "ArrowRight"), "books");
    assert.equal(neighbour(spots, "orders", "ArrowDown"), "redis");
    assert.equal(neighbour(spots, "gateway", "ArrowLeft"), null);
    assert.equal(neighbour(spots, "gateway", "Enter"), null);
    assert.equal(neighbour(spots, "nobody", "ArrowUp"), null);
});

test("a fault stands at whom it hits, and strange states are unknown", () => {
    const found = scene(picture({ faults: [fault("supplier", "down")] }).topology, WIDE);
    assert.deepEqual(found.spots.filter((spot) => spot.faults.length).map((spot) => spot.node.service), ["supplier"]);
    for (const strange of [null, "", "constructor", "__proto__", "<b>"]) assert.equal(stateOf(strange).tone, "unknown");
});
