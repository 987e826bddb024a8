/* What is known of the one that is chosen on the map: a service with its processes, or a way with its circuits. */

/** @import {App} from "../app.js" */
/** @import {Edge, Node} from "../../../types" */

import { h } from "../lib/dom.js";
import { clock, millis, perSecond, percent, rate, seconds, time, words } from "../lib/format.js";
import { edgeId } from "../model/map.js";
import { symptom } from "../model/verdict.js";
import { circuitButtons } from "./circuits.js";
import { badge, circuitBadge, empty, entry, panel, stateBadge } from "./parts.js";

/** @param {App} app */
export function details(app) {
    const topology = app.picture?.topology;
    const name = app.route[1] ?? "";
    const edge = topology?.edges.find((each) => edgeId(each) === name);
    const node = topology?.services.find((each) => each.service === name);
    if (edge) return way(app, edge);
    if (node) return service(app, node);
    return panel("Not here", empty(`Nothing on the map is called “${name}”.`));
}

/** What was promised, and how much may still go wrong. @param {App} app */
export function promises(app) {
    const told = app.picture?.topology.promises ?? [];
    return panel(
        "Promises",
        told.length === 0 && empty("No promise has been counted yet."),
        told.map((promise) => {
            const left = promise.budget_left;
            const tone = left === null ? "unknown" : left < 0 ? "bad" : left < 0.25 ? "watch" : "well";
            const word = left === null ? "not asked yet" : left < 0 ? "used up" : `${percent(left)} left`;
            return h(
                "div",
                { class: "promise", key: promise.name },
                h("div", { class: "row" }, h("span", null, (promise.says || promise.name).replace(/\.$/, "")), badge(tone, word)),
                h("svg", { class: `bar tone-${tone}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, h("rect", { class: "bar-all", width: 100, height: 6 }), h("rect", { class: "bar-part", width: Math.max(0, Math.min(1, left ?? 0)) * 100, height: 6 })),
                (promise.burn ?? 0) > 1 && h("p", { class: "faint" }, `Now used ${rate(promise.burn)} times as fast as it may be.`),
            );
        }),
        told[0] && h("p", { class: "hint" }, `Counted over the last ${seconds(told[0].window_seconds)}.`),
    );
}

/** @param {App} app @param {Node} node */
function service(app, node) {
    const { instances, topology } = /** @type {import("../../../types").Picture} */ (app.picture);
    const own = instances.filter((each) => each.service === node.service);
    const ill = own.find((each) => each.status !== "HEALTHY");
    const into = topology.edges.filter((edge) => edge.target === node.service && edge.calls_per_second !== null);
    const out = topology.edges.filter((edge) => edge.source === node.service && edge.calls_per_second !== null);
    const faults = topology.faults.filter((fault) => fault.service === node.service);
    return panel(
        node.service,
        h("div", { class: "row" }, stateBadge(node.status), ill && h("span", null, `${symptom(ill, node)} since ${time(ill.since)}`)),
        faults.map((fault) => h("p", { class: "hint", key: fault.mode }, "On purpose: ", h("a", { href: "#/faults" }, words(fault.mode)), fault.ends_at ? `, ends by itself in ${clock((Date.parse(fault.ends_at) - app.now) / 1000)}` : "")),
        node.kind !== "store" && h("dl", { class: "pairs" }, entry("requests", `${perSecond(node.requests_per_second)}`), entry("errors", percent(node.error_share), "answers that were errors of its own (5xx)"), entry("p95", millis(node.p95_ms))),
        h(
            "ul",
            { class: "processes" },
            own.map((each) =>
                h("li", { key: each.instance }, h("strong", null, each.instance), stateBadge(each.status), h("span", { class: "faint" }, each.detail || (each.response_time_ms === null ? "" : `answered in ${millis(each.response_time_ms)}`))),
            ),
        ),
        waysList("Calls from", into, (edge) => edge.source),
        waysList("Calls to", out, (edge) => edge.target),
        h("div", { class: "row links" }, node.kind !== "store" && h("a", { href: `#/requests?service=${node.service}` }, "Its requests"), h("a", { href: `#/faults?service=${node.service}` }, "Break it"), h("a", { href: "#/map" }, "Close")),
    );
}

/** @param {string} title @param {Edge[]} edges @param {(edge: Edge) => string} name */
function waysList(title, edges, name) {
    if (!edges.length) return null;
    return h(
        "div",
        { key: title },
        h("h3", null, title),
        h(
            "ul",
            { class: "ways" },
            edges.map((edge) =>
                h("li", { key: edgeId(edge) }, h("a", { href: `#/map/${edgeId(edge)}` }, name(edge)), h("span", { class: "number" }, `${perSecond(edge.calls_per_second)}`), edge.circuit ? circuitBadge(edge.circuit) : h("span", { class: "faint" }, "no circuit")),
            ),
        ),
    );
}

/** @param {App} app @param {Edge} edge */
function way(app, edge) {
    const circuits = (app.picture?.policies.circuits ?? []).filter((each) => each.service === edge.source && each.dependency === edge.target);
    return panel(
        `${edge.source} → ${edge.target}`,
        edge.calls_per_second === null && h("p", { class: "hint" }, `${edge.source} keeps something in ${edge.target}. How much isn’t counted here.`),
        edge.calls_per_second !== null && h("dl", { class: "pairs" }, entry("calls", `${perSecond(edge.calls_per_second)}`), entry("good", percent(edge.success_share)), entry("p95", millis(edge.p95_ms))),
        circuits.map((each) =>
            h(
                "div",
                { class: "circuit", key: each.instance },
                h("div", { class: "row" }, h("strong", null, each.instance), circuitBadge(each.state)),
                h("dl", { class: "pairs" }, entry("opened", each.opened, "times"), entry("refused", each.rejected, "calls while it was open"), entry("failures", each.failures), entry("last one", time(each.last_failure_at)), entry("retries", each.retries), entry("timeouts", each.timeouts)),
                circuitButtons(app, each),
            ),
        ),
        h("div", { class: "row links" }, h("a", { href: `#/map/${edge.source}` }, edge.source), h("a", { href: `#/map/${edge.target}` }, edge.target), h("a", { href: "#/map" }, "Close")),
    );
}
