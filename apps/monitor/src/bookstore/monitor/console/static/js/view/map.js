/* The map: services, stores and the calls between them, and on the side what is known of the one that is chosen. */

/** @import {App} from "../app.js" */
/** @import {Line, Spot} from "../model/map.js" */
/** @import {Plan} from "../model/places.js" */

import { h } from "../lib/dom.js";
import { millis, perSecond, percent, rate, short, time } from "../lib/format.js";
import { isBroken, circuitWord } from "../model/circuits.js";
import { edgeId, neighbour, scene, stateOf } from "../model/map.js";
import { NARROW, WIDE } from "../model/places.js";
import { chart } from "./chart.js";
import { details, promises } from "./details.js";
import { breaker, circuitBadge, empty, panel, shape, stateBadge, table } from "./parts.js";

const narrow = matchMedia("(max-width: 719px)");

/** @param {App} app */
export function mapPage(app) {
    narrow.addEventListener("change", () => app.update());
    return {
        view() {
            if (!app.picture) return empty("Waiting for the first picture.");
            return h(
                "div",
                { class: "map-page", key: "map" },
                h(
                    "div",
                    { class: "map-board" },
                    drawing(app),
                    aside(app),
                    h(
                        "div",
                        { class: "charts" },
                        chart(app, "Requests and orders", ["requests", "orders", "errors"]),
                        chart(app, "Orders that wait", ["waiting", "parked"]),
                        chart(app, "p95 at the front door", ["p95"]),
                    ),
                    calls(app),
                ),
                h("div", { class: "map-side" }, chosen(app) ? [details(app), happened(app)] : [happened(app), promises(app)]),
            );
        },
    };
}

/** Which one is chosen: a service, or a way between two. @param {App} app */
const chosen = (app) => app.route[1] ?? "";

/** @param {App} app */
function drawing(app) {
    const plan = narrow.matches ? NARROW : WIDE;
    const shown = scene(/** @type {any} */ (app.picture).topology, plan);
    const focus = shown.spots.some((spot) => spot.node.service === chosen(app)) ? chosen(app) : shown.spots[0]?.node.service;
    const height = Math.max(plan.height, ...shown.spots.map((spot) => spot.at.y + plan.box.height / 2 + 16));
    return h(
        "svg",
        {
            class: `map${plan.brief ? " is-narrow" : ""}`,
            viewBox: `0 0 ${plan.width} ${height}`,
            key: narrow.matches ? "narrow" : "wide",
            role: "group",
            "aria-label": "Map of services. Arrow keys go from one to the next, Enter shows what is known of it.",
            on: { keydown: (/** @type {KeyboardEvent} */ event) => walk(event, shown.spots) },
        },
        customers(app, plan),
        shown.lines.map((line) => way(line, chosen(app) === line.id)),
        shown.spots.map((spot) => box(spot, plan, chosen(app), spot.node.service === focus)),
        shown.lines.map((line) => label(line, plan.brief)),
    );
}

/** @param {KeyboardEvent} event @param {Spot[]} spots */
function walk(event, spots) {
    const here = /** @type {Element} */ (event.target).closest("[data-name]")?.getAttribute("data-name");
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        location.hash = `#/map/${here}`;
    }
    const next = neighbour(spots, here, event.key);
    if (next) {
        event.preventDefault();
        /** @type {SVGElement | null} */ (document.querySelector(`.map [data-name="${CSS.escape(next)}"]`))?.focus();
    }
}

/** @param {App} app @param {Plan} plan */
function customers(app, plan) {
    const door = app.picture?.topology.services.find((node) => node.service === "gateway");
    if (!door) return null;
    return h(
        "g",
        { class: "door", "aria-hidden": "true" },
        h("path", { class: "way kind-flows", d: plan.start, "stroke-width": 1.5 }),
        h("text", { x: plan.startLabel.x, y: plan.startLabel.y - 10, class: "way-text" }, `${perSecond(door.requests_per_second)}`),
        h("text", { x: plan.startLabel.x, y: plan.startLabel.y + 18, class: "way-text faint" }, "people"),
    );
}

/** @param {Line} line @param {boolean} isChosen */
function way(line, isChosen) {
    const { edge } = line;
    return h(
        "g",
        {
            key: `way ${line.id}`,
            class: `way-group kind-${line.kind} tone-${line.tone}${line.store ? " to-store" : ""}${isChosen ? " is-chosen" : ""}`,
            "data-way": line.id,
            on: { click: () => (location.hash = `#/map/${line.id}`) },
        },
        h("title", null, wayText(line)),
        h("path", { class: "way-touch", d: line.path }),
        h("path", { class: "way", d: line.path, "stroke-width": line.width }),
        h("desc", null, `${edge.source} to ${edge.target}`),
    );
}

/** @param {Line} line */
function wayText({ edge, store }) {
    if (store && edge.calls_per_second === null) return `${edge.source} uses ${edge.target}`;
    const held = edge.circuit ? `, circuit ${circuitWord(edge.circuit)}` : "";
    return `${edge.source} to ${edge.target}: ${perSecond(edge.calls_per_second)}, ${percent(edge.success_share)} good, p95 ${millis(edge.p95_ms)}${held}`;
}

/** Figures and the circuit, on the way itself. @param {Line} line @param {boolean} brief */
function label(line, brief) {
    const { edge, middle, kind } = line;
    const held = isBroken(edge.circuit);
    const lines = [];
    if ((edge.calls_per_second ?? 0) > 0) {
        lines.push(`${perSecond(edge.calls_per_second)}${edge.p95_ms === null || brief ? "" : ` · ${millis(edge.p95_ms)}`}`);
        if (kind === "failing" || (held && (edge.success_share ?? 1) < 1)) lines.push(`${percent(edge.success_share)} good`);
    }
    if (!lines.length && !held) return null;
    const width = Math.max(...lines.map((each) => each.length * 6.3 + 14), held ? circuitWord(edge.circuit).length * 6.9 + 40 : 0);
    const height = lines.length * 15 + 6 + (held ? 20 : 0);
    return h(
        "g",
        { key: `label ${line.id}`, class: `way-label tone-${line.tone} kind-${kind}`, "aria-hidden": "true", transform: `translate(${middle.x} ${middle.y})` },
        h("rect", { class: "way-plate", x: -width / 2, y: -height / 2, width, height, rx: 6 }),
        lines.map((each, index) => h("text", { key: index, class: `way-text${index ? " strong" : ""}`, y: -height / 2 + 14.5 + index * 15 }, each)),
        held && circuitChip(edge.circuit, height / 2 - 13, width),
    );
}

/** @param {string | null} state @param {number} y @param {number} width */
const circuitChip = (state, y, width) =>
    h(
        "g",
        { class: "circuit-chip", transform: `translate(${-width / 2 + 3} ${y - 9})` },
        h("rect", { width: width - 6, height: 19, rx: 5 }),
        h("g", { transform: "translate(7 1.5)" }, h("svg", { width: 16, height: 16, viewBox: "0 0 16 16" }, breaker(state))),
        h("text", { x: 28, y: 13.5 }, circuitWord(state)),
    );

/** @param {Spot} spot @param {Plan} plan @param {string} isChosen @param {boolean} isFirst */
function box({ node, at, tone, word, faults }, plan, isChosen, isFirst) {
    const { width, height } = plan.box;
    const [x, y] = [at.x - width / 2, at.y - height / 2];
    const numbers = node.requests_per_second === null ? "" : `${perSecond(node.requests_per_second)}${node.p95_ms === null ? "" : ` · ${millis(node.p95_ms)}`}`;
    const second = tone === "well" ? numbers || "well" : word;
    const aside = tone !== "well" && numbers ? `${perSecond(node.requests_per_second)}` : "";
    const many = node.instances > 1 ? `×${node.instances}` : "";
    // What is read out begins with what is seen.
    const seen = [short(node.service, 14), second, aside, many].filter(Boolean).join(" ");
    return h(
        "g",
        {
            key: `box ${node.service}`,
            class: `box tone-${tone} of-${node.kind}${isChosen === node.service ? " is-chosen" : ""}`,
            "data-name": node.service,
            role: "button",
            tabindex: isFirst ? "0" : "-1",
            "aria-label": `${seen}, ${node.service} is ${word}${faults.length ? ", a fault is switched on" : ""}`,
            "aria-pressed": isChosen === node.service ? "true" : "false",
            on: { click: () => (location.hash = `#/map/${node.service}`) },
        },
        // The name above says it all, in the same words; the blanks keep those apart.
        h(
            "g",
            { "aria-hidden": "true" },
            node.instances > 1 && h("rect", { class: "box-behind", x: x + 5, y: y - 5, width, height, rx: 10 }),
            node.kind === "store"
                ? h("path", { class: "box-body", d: cylinder(x, y, width, height) })
                : h("rect", { class: `box-body${node.service === "supplier" ? " is-outside" : ""}`, x, y, width, height, rx: node.kind === "worker" ? 32 : 10 }),
            h("g", { transform: `translate(${x + 12} ${y + 16})` }, h("svg", { width: 16, height: 16, viewBox: "0 0 16 16" }, shape(tone))),
            h("text", { class: "box-name", x: x + 34, y: y + 29 }, short(node.service, 14)),
            " ",
            h("text", { class: "box-figures", x: x + 16, y: y + 52 }, second),
            " ",
            aside && h("text", { class: "box-figures faint", x: x + width - 12, y: y + 52, "text-anchor": "end" }, aside),
            " ",
            many && h("text", { class: "box-count", x: x + width - 12, y: y + 28, "text-anchor": "end" }, many),
            faults.length > 0 && h("g", { class: "box-fault", transform: `translate(${x + width - 12} ${y})` }, h("circle", { r: 10 }), h("path", { d: "M1.5-6L-3.5 1H0L-1.5 6L3.5-1H0z" })),
        ),
    );
}

/** @param {number} x @param {number} y @param {number} width @param {number} height */
function cylinder(x, y, width, height) {
    const lid = 8;
    const [right, bottom] = [x + width, y + height];
    return `M${x} ${y + lid}A${width / 2} ${lid} 0 0 1 ${right} ${y + lid}V${bottom - lid}A${width / 2} ${lid} 0 0 1 ${x} ${bottom - lid}ZM${x} ${y + lid}A${width / 2} ${lid} 0 0 0 ${right} ${y + lid}`;
}

/** Who is watched too and has no place on the map, and what the signs mean. @param {App} app */
function aside(app) {
    const { beside } = scene(/** @type {any} */ (app.picture).topology, WIDE);
    return h(
        "div",
        { class: "beside", key: "beside" },
        beside.length > 0 && h("span", { class: "faint" }, "Also watched"),
        beside.map((node) => h("a", { key: node.service, href: `#/map/${node.service}`, class: `chip tone-${stateOf(node.status).tone}` }, shape(stateOf(node.status).tone), node.service, stateOf(node.status).tone !== "well" && ` ${stateOf(node.status).word}`)),
        h(
            "span",
            { class: "legend", key: "legend" },
            sample("flows", "well", "calls, thicker for more"),
            sample("failing", "bad", "calls fail"),
            sample("held", "bad", "circuit holds back"),
            sample("idle", "well", "no calls now"),
        ),
    );
}

/** @param {string} kind @param {string} tone @param {string} text */
const sample = (kind, tone, text) =>
    h("span", { key: kind }, h("svg", { viewBox: "0 0 34 8", class: `sample kind-${kind} tone-${tone}`, "aria-hidden": "true" }, h("path", { class: "way", d: "M1 4H33", "stroke-width": 3 })), text);

/** @param {App} app */
function happened(app) {
    const changes = app.changes.filter((change) => change.before !== null).slice(0, 8);
    return panel(
        "What happened",
        app.missed > 0 && h("p", { class: "hint" }, `${app.missed} changes were missed here: this page was too slow.`),
        changes.length === 0
            ? empty("No state has changed since the monitor began.")
            : h(
                  "ol",
                  { class: "timeline" },
                  changes.map((change) =>
                      h(
                          "li",
                          { key: change.id },
                          h("time", { datetime: change.at }, time(change.at)),
                          h("a", { href: `#/map/${encodeURIComponent(change.service)}` }, change.instance),
                          stateBadge(change.after),
                          change.detail && h("span", { class: "faint" }, short(change.detail, 120)),
                      ),
                  ),
              ),
    );
}

/** The same as the lines of the map, as a table. @param {App} app */
function calls(app) {
    const { edges } = /** @type {any} */ (app.picture).topology;
    const counted = edges.filter((/** @type {import("../../../types").Edge} */ edge) => edge.calls_per_second !== null);
    return h(
        "details",
        { class: "panel calls", key: "calls" },
        h("summary", null, "All calls as a table"),
        table(
            "Calls between services",
            [
                { head: "From", cell: (edge) => h("a", { href: `#/map/${edgeId(edge)}` }, `${edge.source} → ${edge.target}`) },
                { head: "Calls a second", number: true, cell: (edge) => rate(edge.calls_per_second) },
                { head: "Good", number: true, cell: (edge) => percent(edge.success_share) },
                { head: "p95", number: true, cell: (edge) => millis(edge.p95_ms) },
                { head: "Circuit", cell: (edge) => (edge.circuit ? circuitBadge(edge.circuit) : "none") },
            ],
            counted,
            edgeId,
        ),
    );
}
