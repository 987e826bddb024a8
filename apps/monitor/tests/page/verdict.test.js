import assert from "node:assert/strict";
import { test } from "node:test";

import { verdict } from "../../src/bookstore/monitor/console/static/js/model/verdict.js";
import { edge, fault, ill, node, picture } from "./pictures.js";

process.env.TZ = "UTC";

const told = (facts) => facts.map((fact) => fact.text);

test("who is well is told so", () => {
    assert.deepEqual(verdict(picture()), { tone: "well", headline: "Everything is well.", why: [], then: [] });
});

test("the story of a supplier that is down: the cause first, then what comes of it", () => {
    const found = verdict(
        picture({
            instances: [ill("supplier", "DOWN", "nobody takes the connection"), ill("orders-worker", "DEGRADED", "lacks supplier")],
            edges: [edge("orders-worker", "supplier", { circuit: "open", success_share: 0 })],
            queue: { unfinished: 53, oldest_age_seconds: 71, parked: 37, dead: 2 },
        }),
    );
    assert.equal(found.tone, "bad");
    assert.equal(found.headline, "Supplier refuses connections since 14:02.");
    assert.deepEqual(told(found.then), [
        "orders-worker lacks supplier",
        "circuit of orders-worker to supplier is open",
        "53 orders wait, 37 of them parked, the oldest for 1 min 11 s",
        "2 dead letters to look at",
    ]);
    assert.equal(found.why[0].href, "#/map/supplier");
});

test("what was switched on says so, and until when", () => {
    const found = verdict(picture({ instances: [ill("supplier", "DOWN", "nobody takes the connection")], faults: [fault("supplier", "down")] }));
    assert.equal(found.headline, "Supplier refuses connections since 14:02, because the fault “down” is switched on until 14:06.");
    const alone = verdict(picture({ faults: [fault("supplier", "slow", { ends_at: null })] }));
    assert.deepEqual([alone.tone, alone.headline], ["watch", "Supplier fails on purpose: “slow” is switched on."]);
});

const SYMPTOMS = [
    ["DOWN", "nobody takes the connection", "books refuses connections since 14:02"],
    ["UNHEALTHY", "takes the connection, and does not answer", "books takes connections and does not answer since 14:02"],
    ["UNHEALTHY", "the answer breaks off, or is none", "books answers halfway, or nonsense since 14:02"],
    ["UNHEALTHY", "answers with status 500", "books answers with errors (status 500) since 14:02"],
    ["UNHEALTHY", "lacks database", "books lacks postgres since 14:02"],
    ["DEGRADED", "took longer than 1 s", "books is slow to answer since 14:02"],
    ["DEGRADED", "has not answered yet, and is late", "books is slow to answer since 14:02"],
    ["DEGRADED", "does not say how it is in time, but answers other requests", "books is slow to answer since 14:02"],
    ["UNHEALTHY", "is starting, stopping or recovering", "books is unhealthy: is starting, stopping or recovering since 14:02"],
];

for (const [status, detail, text] of SYMPTOMS) {
    test(`in words: ${detail}`, () => {
        const found = verdict(picture({ instances: [ill("books", status, detail)] }));
        assert.deepEqual(told(found.why), [text]);
        assert.equal(found.tone, status === "DEGRADED" ? "watch" : "bad");
    });
}

test("who lacks somebody ill is an effect, however many there are", () => {
    const found = verdict(
        picture({
            instances: [
                ill("orders", "UNHEALTHY", "lacks books, database"),
                ill("books", "UNHEALTHY", "lacks database"),
                ill("accounts", "UNHEALTHY", "lacks database"),
                ill("postgres", "DOWN", "nobody takes the connection", { instance: "postgres" }),
            ],
        }),
    );
    assert.deepEqual(told(found.why), ["postgres refuses connections since 14:02"]);
    assert.equal(found.then.length, 3);
});

test("one of several processes is told by its name", () => {
    const found = verdict(
        picture({
            instances: [ill("books", "DOWN", "nobody takes the connection", { instance: "books-2" })],
            services: [node("books", { status: "DEGRADED", instances: 2 })],
        }),
    );
    assert.deepEqual([found.tone, told(found.why)], ["watch", ["books-2 (of 2) refuses connections since 14:02"]]);
});

test("a further port of a process that is gone is no cause of its own", () => {
    const extra = picture({ instances: [ill("supplier", "DOWN", "nobody takes the connection"), ill("supplier-control", "DOWN", "nobody takes the connection")] });
    extra.topology.services.push(node("supplier-control", { status: "DOWN" }));
    assert.deepEqual(told(verdict(extra).why), ["supplier refuses connections since 14:02"]);
});

test("calls may fail although both ends say that they are well", () => {
    const failing = verdict(picture({ edges: [edge("orders-worker", "supplier", { success_share: 0.62 })] }));
    assert.deepEqual([failing.tone, failing.headline], ["bad", "38 % of the calls from orders-worker to supplier fail."]);
    const held = verdict(picture({ edges: [edge("orders-worker", "supplier", { circuit: "half_open", calls_per_second: 0 })] }));
    assert.deepEqual([held.tone, held.headline, held.then], ["watch", "Circuit of orders-worker to supplier is half-open.", []]);
    const both = verdict(picture({ edges: [edge("orders-worker", "supplier", { success_share: 0, circuit: "open" })] }));
    assert.deepEqual([told(both.why), told(both.then)], [["100 % of the calls from orders-worker to supplier fail"], ["circuit of orders-worker to supplier is open"]]);
});

test("what people at the door notice, and promises that were not kept, also when all is well again", () => {
    const broken = [{ name: "orders", service: "orders", says: "An order is accepted.", objective: 0.999, budget_left: -0.5, burn: 9, window_seconds: 60 }];
    const found = verdict(
        picture({
            services: [node("gateway", { error_share: 0.04 })],
            promises: broken,
        }),
    );
    assert.deepEqual(told(found.then), ["4 % of the requests at the door get an error", "not kept in the last 1 min: An order is accepted"]);
    assert.equal(found.headline, "4 % of the requests at the door get an error.");
    const over = verdict({ ...picture(), topology: { ...picture().topology, promises: broken } });
    assert.deepEqual([over.tone, over.headline, over.then.length], ["well", "Everything is well now.", 1]);
});

test("several causes: the worst is told, the others are counted", () => {
    const found = verdict(picture({ instances: [ill("accounts", "DEGRADED", "took longer than 1 s"), ill("books", "DOWN", "nobody takes the connection")] }));
    assert.equal(found.headline, "Books refuses connections since 14:02, and 1 other thing besides.");
});

test("nothing known is not well", () => {
    const blank = picture();
    for (const each of blank.topology.services) each.status = null;
    assert.equal(verdict(blank).tone, "unknown");
    assert.equal(verdict({ ...blank, topology: { ...blank.topology, services: [] } }).tone, "unknown");
});

test("a queue that only works is no trouble", () => {
    const busy = { unfinished: 40, oldest_age_seconds: 1.2, parked: 0, dead: 0 };
    assert.equal(verdict(picture({ queue: busy })).tone, "well");
    assert.equal(verdict(picture({ queue: null })).tone, "well");
});
