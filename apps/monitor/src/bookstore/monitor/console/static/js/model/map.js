/* What the map shows of the picture: who stands where, which way calls go, how thick and of which kind each line is. */

/** @import {Topology, Node, Edge, Fault} from "../../../types" */
/** @import {Plan, Point} from "./places.js" */

import { circuitState, isBroken } from "./circuits.js";
import { DOORS, GOOD } from "./verdict.js";

/** @typedef {"well" | "watch" | "bad" | "unknown"} Tone */
/** @typedef {{node: Node, at: Point, tone: Tone, word: string, faults: Fault[]}} Spot */
/** @typedef {{id: string, edge: Edge, path: string, middle: Point, width: number, kind: string, tone: Tone, store: boolean}} Line */
/** @typedef {{spots: Spot[], lines: Line[], beside: Node[]}} Scene */

/** @type {Record<string, {word: string, tone: Tone}>} */
const STATES = {
    HEALTHY: { word: "well", tone: "well" },
    DEGRADED: { word: "degraded", tone: "watch" },
    UNHEALTHY: { word: "unhealthy", tone: "bad" },
    DOWN: { word: "down", tone: "bad" },
};

/** A state in a word. @param {string | null} status @returns {{word: string, tone: Tone}} */
export const stateOf = (status) =>
    (status && Object.hasOwn(STATES, status) && STATES[status]) || { word: "unknown", tone: "unknown" };

/** @param {Edge} edge */
export const edgeId = (edge) => `${edge.source}>${edge.target}`;

/**
 * @param {Topology} topology
 * @param {Plan} plan
 * @returns {Scene}
 */
export function scene(topology, plan) {
    const named = new Map(topology.services.map((node) => [node.service, node]));
    const placed = new Map(Object.entries(plan.at).filter(([name]) => named.has(name)));
    const busy = topology.edges.filter((edge) => isBusy(edge, plan));
    const guests = [...named.keys()].filter(
        (name) => !placed.has(name) && !(name in DOORS) && busy.some((edge) => edge.source === name || edge.target === name),
    );
    guests.sort().slice(0, plan.free.length).forEach((name, index) => placed.set(name, plan.free[index] ?? { x: 0, y: 0 }));
    const spots = [...placed].map(([name, at]) => spot(/** @type {Node} */ (named.get(name)), at, topology.faults));
    const lines = topology.edges
        .filter((edge) => placed.has(edge.source) && placed.has(edge.target) && edge.source !== edge.target)
        .map((edge) => line(edge, plan, placed, named.get(edge.target)));
    return {
        spots,
        lines: lines.sort((one, other) => weight(one) - weight(other)),
        beside: topology.services.filter((node) => !placed.has(node.service)),
    };
}

/** Whether there is anything to see on a line of somebody who has no place of his own. @param {Edge} edge @param {Plan} plan */
const isBusy = (edge, plan) =>
    (edge.source in plan.at && edge.target in plan.at) || (edge.calls_per_second ?? 0) > 0 || isBroken(edge.circuit);

/** Stores are drawn first, trouble last, on top. @param {Line} line */
const weight = (line) => (line.store ? 0 : 1) + (line.tone === "bad" ? 2 : line.tone === "watch" ? 1 : 0);

/** @param {Node} node @param {Point} at @param {Fault[]} faults @returns {Spot} */
function spot(node, at, faults) {
    return { node, at, ...stateOf(node.status), faults: faults.filter((fault) => fault.service === node.service) };
}

/** @param {Edge} edge @param {Plan} plan @param {Map<string, Point>} placed @param {Node | undefined} target @returns {Line} */
function line(edge, plan, placed, target) {
    const from = /** @type {Point} */ (placed.get(edge.source));
    const to = /** @type {Point} */ (placed.get(edge.target));
    const id = edgeId(edge);
    const ends = [border(from, to, plan.box), border(to, from, plan.box)];
    const [start, end] = /** @type {[Point, Point]} */ (ends);
    const store = target?.kind === "store";
    const path = plan.ways[id] ?? `M${start.x} ${start.y} L${end.x} ${end.y}`;
    const middle = plan.labels[id] ?? { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
    return { id, edge, path, middle, width: width(edge.calls_per_second), store, ...kind(edge, target) };
}

/** Where the way from one box to another crosses the first one's border. @param {Point} from @param {Point} to @param {{width: number, height: number}} box */
export function border(from, to, box) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const reach = Math.min(
        dx ? (box.width / 2 + 4) / Math.abs(dx) : Infinity,
        dy ? (box.height / 2 + 4) / Math.abs(dy) : Infinity,
    );
    return { x: round(from.x + dx * reach), y: round(from.y + dy * reach) };
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** How thick a line is: by its rate, from a hair to a cord. @param {number | null} perSecond */
export function width(perSecond) {
    return !perSecond || perSecond < 0 ? 1.25 : Math.min(9, round(1.75 + 1.1 * Math.log2(1 + perSecond)));
}

/** How a line is drawn: by what becomes of its calls, and never by colour alone. @param {Edge} edge @param {Node | undefined} target
 * @returns {{kind: string, tone: Tone}} */
export function kind(edge, target) {
    if (isBroken(edge.circuit)) return { kind: "held", tone: circuitState(edge.circuit).tone };
    const called = (edge.calls_per_second ?? 0) > 0;
    const share = edge.success_share;
    if (called && share !== null && share < GOOD) return { kind: "failing", tone: share < 0.9 ? "bad" : "watch" };
    if (target?.kind === "store" && target.status && target.status !== "HEALTHY") {
        return { kind: "failing", tone: stateOf(target.status).tone };
    }
    if (called) return { kind: "flows", tone: "well" };
    return { kind: "idle", tone: edge.calls_per_second === null ? "unknown" : "well" };
}

/** @type {Record<string, number[]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The next one in a direction, for the arrow keys: near, and not far off the axis. @param {Spot[]} spots @param {string} from @param {string} key */
export function neighbour(spots, from, key) {
    const here = spots.find((each) => each.node.service === from);
    const [dx = 0, dy = 0] = ARROWS[key] ?? [];
    if (!here || (!dx && !dy)) return null;
    let best = null;
    let least = Infinity;
    for (const each of spots) {
        const [x, y] = [each.at.x - here.at.x, each.at.y - here.at.y];
        const along = x * dx + y * dy;
        const aside = Math.abs(x * dy) + Math.abs(y * dx);
        const cost = along + 2.5 * aside;
        if (along > 1 && cost < least) [best, least] = [each.node.service, cost];
    }
    return best;
}
