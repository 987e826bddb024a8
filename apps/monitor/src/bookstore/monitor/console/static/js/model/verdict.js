/* The first thing that the page says: what is failing and why, in words, worked out from the picture alone.
 *
 * A cause is somebody ill whom nobody else's illness explains, or calls that fail although both ends are well.
 * Whoever only lacks a cause is an effect. Circuits that are not closed, orders that wait and promises that are
 * used up are effects too.
 */

/** @import {Picture, InstanceHealth, Node, Edge, Fault} from "../../../types" */

import { count, counted, list, percent, seconds, shortTime, words } from "../lib/format.js";
import { circuitWord, isBroken } from "./circuits.js";

/** @typedef {"well" | "watch" | "bad" | "unknown"} Tone */
/** @typedef {{text: string, href: string, tone: Tone}} Fact */
/** @typedef {{tone: Tone, headline: string, why: Fact[], then: Fact[]}} Verdict */

/** @type {Record<string, number>} */
const BADNESS = { HEALTHY: 0, DEGRADED: 1, UNHEALTHY: 2, DOWN: 3 };
/** Below this share of good answers, calls count as failing. */
export const GOOD = 0.98;
/** Seconds that an order may wait before it is worth a word. */
const PATIENCE = 3;

/** Further ports of a process: they go where it goes. @type {Record<string, string>} */
export const DOORS = { "gateway-admin": "gateway", "supplier-control": "supplier" };

/** What a service's own words call a store. @type {Record<string, string>} */
const CALLED = { database: "postgres", cache: "redis", broker: "redis", queue: "redis" };

/**
 * @param {Picture} picture
 * @returns {Verdict}
 */
export function verdict(picture) {
    const { services, edges, faults } = picture.topology;
    const ill = services.filter((node) => node.status && node.status !== "HEALTHY");
    const roots = ill.filter((node) => !isExplained(node, picture));
    roots.sort((one, other) => badness(other) - badness(one));
    const failing = edges.filter((edge) => isFailing(edge) && !ill.some((node) => node.service === edge.target));
    const why = [
        ...roots.map((node) => cause(node, picture)),
        ...failing.map((edge) => failingCalls(edge, faults)),
        ...faults.filter((fault) => !tells(fault, roots, failing)).map(onPurpose),
    ];
    const then = [
        ...ill.filter((node) => !roots.includes(node)).map((node) => effect(node, picture)),
        ...edges.filter((edge) => isBroken(edge.circuit) && !(failing.includes(edge) && !hasBadCalls(edge))).map(circuit),
        ...door(services, roots),
        ...queue(picture),
    ];
    const past = promises(picture);
    const unknown = services.length === 0 || services.every((node) => node.status === null);
    if (unknown) return { tone: "unknown", headline: "Nothing is known yet.", why: [], then: [] };
    const tone = worst([...why, ...then]);
    return { tone, headline: headline(why, then, past), why, then: [...then, ...past] };
}

/** @param {Fact[]} why @param {Fact[]} then @param {Fact[]} past */
function headline(why, then, past) {
    const first = why.length ? why : then;
    if (!first.length) return past.length ? "Everything is well now." : "Everything is well.";
    const [most] = first;
    const more = why.length > 1 ? `, and ${counted(why.length - 1, "other thing")} besides` : "";
    return `${capital(most?.text ?? "")}${more}.`;
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {Fact[]} facts @returns {Tone} */
function worst(facts) {
    if (facts.some((fact) => fact.tone === "bad")) return "bad";
    return facts.some((fact) => fact.tone === "watch") ? "watch" : "well";
}

/** @param {Node} node */
const badness = (node) => BADNESS[node.status ?? "HEALTHY"] ?? 0;

/** Whether all that is wrong with it is that it lacks somebody who is ill himself. @param {Node} node @param {Picture} picture */
function isExplained(node, picture) {
    const process = DOORS[node.service];
    if (process && isIll(process, picture)) return true;
    const told = details(node, picture);
    return told.length > 0 && told.every((each) => lacked(each.detail).some((name) => isIll(name, picture)));
}

/** @param {Node} node @param {Picture} picture */
const details = (node, picture) =>
    picture.instances.filter((each) => each.service === node.service && each.status !== "HEALTHY");

/** Whom a detail names as missing: "lacks database, supplier". @param {string} detail */
export function lacked(detail) {
    const [, names = ""] = /^lacks (.+)$/.exec(detail) ?? [];
    return names ? names.split(", ").map((name) => CALLED[name] ?? name) : [];
}

/** @param {string} name @param {Picture} picture */
const isIll = (name, picture) =>
    picture.topology.services.some((node) => node.service === name && badness(node) > 0);

/** @param {Edge} edge */
const hasBadCalls = (edge) =>
    (edge.calls_per_second ?? 0) > 0 && edge.success_share !== null && edge.success_share < GOOD;

/** Whether calls fail, or are held back. @param {Edge} edge */
export const isFailing = (edge) => isBroken(edge.circuit) || hasBadCalls(edge);

/** @param {Node} node @param {Picture} picture @returns {Fact} */
function cause(node, picture) {
    const told = details(node, picture);
    const [first] = told;
    const some = told.length < node.instances && first;
    const who = some ? `${list(told.map((each) => each.instance))} (of ${node.instances})` : node.service;
    const since = first ? ` since ${shortTime(earliest(told))}` : "";
    const reason = onPurposeFor(node.service, picture.topology.faults);
    return {
        text: `${who} ${symptom(first, node)}${since}${reason}`,
        href: `#/map/${node.service}`,
        tone: node.status === "DEGRADED" ? "watch" : "bad",
    };
}

/** @param {InstanceHealth[]} told */
const earliest = (told) => told.map((each) => each.since).sort()[0];

/** What one sees of somebody ill, as a verb. @param {InstanceHealth | undefined} told @param {Node} node */
export function symptom(told, node) {
    const detail = told?.detail ?? "";
    const [, status] = /^answers with status (\d+)$/.exec(detail) ?? [];
    if (told?.status === "DOWN") return "refuses connections";
    if (/does not answer$/.test(detail)) return "takes connections and does not answer";
    if (/breaks off/.test(detail)) return "answers halfway, or nonsense";
    if (status) return `answers with errors (status ${status})`;
    if (/^took longer than|late$|in time/.test(detail)) return "is slow to answer";
    if (lacked(detail).length) return `lacks ${list(lacked(detail))}`;
    if (detail) return `is ${words((told?.status ?? node.status ?? "").toLowerCase())}: ${detail}`;
    return `is ${(node.status ?? "unknown").toLowerCase()}`;
}

/** @param {Edge} edge @param {Fault[]} faults @returns {Fact} */
function failingCalls(edge, faults) {
    const bad = hasBadCalls(edge);
    const text = bad
        ? `${percent(1 - (edge.success_share ?? 1))} of the calls from ${edge.source} to ${edge.target} fail`
        : circuit(edge).text;
    const mild = edge.circuit === "half_open" || (!isBroken(edge.circuit) && (edge.success_share ?? 1) >= 0.9);
    return {
        text: text + onPurposeFor(edge.target, faults),
        href: `#/map/${edge.source}>${edge.target}`,
        tone: mild ? "watch" : "bad",
    };
}

/** @param {string} service @param {Fault[]} faults */
function onPurposeFor(service, faults) {
    const fault = faults.find((each) => each.service === service);
    return fault ? `, because the fault “${words(fault.mode)}” is switched on${until(fault)}` : "";
}

/** @param {Fault} fault */
const until = (fault) => (fault.ends_at ? ` until ${shortTime(fault.ends_at)}` : "");

/** @param {Fault} fault @param {Node[]} roots @param {Edge[]} failing */
const tells = (fault, roots, failing) =>
    roots.some((node) => node.service === fault.service) || failing.some((edge) => edge.target === fault.service);

/** @param {Fault} fault @returns {Fact} */
const onPurpose = (fault) => ({
    text: `${fault.service} fails on purpose: “${words(fault.mode)}” is switched on${until(fault)}`,
    href: "#/faults",
    tone: "watch",
});

/** @param {Node} node @param {Picture} picture @returns {Fact} */
function effect(node, picture) {
    const [first] = details(node, picture);
    return {
        text: `${node.service} ${symptom(first, node)}`,
        href: `#/map/${node.service}`,
        tone: node.status === "DEGRADED" ? "watch" : "bad",
    };
}

/** @param {Edge} edge @returns {Fact} */
const circuit = (edge) => ({
    text: `circuit of ${edge.source} to ${edge.target} is ${circuitWord(edge.circuit)}`,
    href: `#/map/${edge.source}>${edge.target}`,
    tone: edge.circuit === "half_open" ? "watch" : "bad",
});

/** What people at the front door notice. @param {Node[]} services @param {Node[]} roots @returns {Fact[]} */
function door(services, roots) {
    const gateway = services.find((node) => node.service === "gateway");
    if (!gateway || roots.includes(gateway) || (gateway.error_share ?? 0) <= 1 - GOOD) return [];
    const text = `${percent(gateway.error_share)} of the requests at the door get an error`;
    return [{ text, href: "#/requests", tone: "bad" }];
}

/** @param {Picture} picture @returns {Fact[]} */
function queue(picture) {
    const owed = picture.topology.queue;
    if (!owed) return [];
    /** @type {Fact[]} */
    const facts = [];
    if (owed.oldest_age_seconds > PATIENCE && owed.unfinished > 0) {
        const parked = owed.parked ? `, ${count(owed.parked)} of them parked` : "";
        const text = `${counted(owed.unfinished, "order waits", "orders wait")}${parked}, the oldest for ${seconds(owed.oldest_age_seconds)}`;
        facts.push({ text, href: "#/queue", tone: "watch" });
    }
    if (owed.dead) facts.push({ text: `${counted(owed.dead, "dead letter")} to look at`, href: "#/queue", tone: "watch" });
    return facts;
}

/** What went wrong within the hour counts against a promise, also when all is well again. @param {Picture} picture @returns {Fact[]} */
function promises(picture) {
    return picture.topology.promises
        .filter((promise) => promise.budget_left !== null && promise.budget_left < 0)
        .map((promise) => ({
            text: `not kept in the last ${seconds(promise.window_seconds)}: ${(promise.says || promise.name).replace(/\.$/, "")}`,
            href: "#/map",
            tone: /** @type {Tone} */ ("watch"),
        }));
}
