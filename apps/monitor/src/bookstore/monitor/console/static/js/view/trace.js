/* One request in full: a bar for each span, a row for each wait, and what was noted on the way. */

/** @import {App} from "../app.js" */
/** @import {LogLine, Trace, TraceSpan} from "../../../types" */
/** @import {Row} from "../model/waterfall.js" */

import { h } from "../lib/dom.js";
import { counted, millis, short, time } from "../lib/format.js";
import { errorOf, eventText, rows, ticks } from "../model/waterfall.js";
import { ask } from "../net/api.js";
import { badge, button, empty, entry, panel, shape } from "./parts.js";

const MOST = 300;
const HUES = 6;

/** @param {App} app */
export function tracePage(app) {
    /** @type {Trace | null} */
    let trace = null;
    let wanted = "";
    /** @type {LogLine[]} */
    let logs = [];
    let trouble = "";
    let chosen = "";
    /** @type {Set<string>} */
    const folded = new Set();

    /** @param {string} id */
    async function look(id) {
        try {
            const found = await ask(`traces/${encodeURIComponent(id)}`);
            // Not every system keeps its logs where the monitor can ask for them.
            const lines = await ask(`traces/${encodeURIComponent(id)}/logs`).catch(() => ({ data: [] }));
            if (id === wanted) [trace, trouble, logs] = [found, "", lines.data];
        } catch (error) {
            if (id === wanted && trace?.summary.trace_id !== id) trouble = /** @type {Error} */ (error).message;
        }
        app.update();
    }

    /** @param {string} id */
    function fold(id) {
        if (!folded.delete(id)) folded.add(id);
        app.update();
    }

    /** @param {string} id */
    function choose(id) {
        chosen = chosen === id ? "" : id;
        app.update();
    }

    return {
        /** A trace grows: an order's goes on when its worker does. */
        enter() {
            const timer = setInterval(() => document.hidden || !wanted || void look(wanted), 2000);
            return () => clearInterval(timer);
        },
        /** @param {string} id */
        view(id) {
            if (id !== wanted) {
                [wanted, trace, trouble, chosen, logs] = [id, null, "", "", []];
                folded.clear();
                void look(id);
            }
            if (trouble) return panel("A request in full", h("p", { class: "hint tone-bad" }, trouble), h("a", { href: "#/requests" }, "Close"));
            if (!trace) return panel("A request in full", empty("Being fetched."));
            return whole(app, trace, logs, folded, chosen, { fold, choose });
        },
    };
}

/** @param {App} app @param {Trace} trace @param {LogLine[]} logs @param {Set<string>} folded @param {string} chosen @param {{fold: (id: string) => void, choose: (id: string) => void}} on */
function whole(app, trace, logs, folded, chosen, on) {
    const { summary } = trace;
    const found = rows(trace, folded);
    const services = [...new Set(trace.spans.map((span) => span.service))];
    const waited = found.filter((row) => row.kind === "wait").reduce((sum, row) => sum + row.to - row.from, 0);
    return h(
        "section",
        { class: "panel trace", "aria-label": "A request in full", key: `trace ${summary.trace_id}` },
        h("div", { class: "row between" }, h("h2", null, short(summary.name, 80)), h("a", { href: "#/requests" }, "Close")),
        h(
            "p",
            { class: "faint" },
            `${time(summary.started_at)} · ${millis(summary.duration_ms)} · ${counted(summary.spans, "span")}`,
            waited > 0 && ` · of that ${millis(waited)} waiting`,
        ),
        summary.errors > 0 && badge("bad", counted(summary.errors, "error")),
        h("ul", { class: "services-key" }, services.map((name, index) => h("li", { key: name }, h("i", { class: `dot hue-${index % HUES}` }), short(name, 40)))),
        h(
            "div",
            { class: "waterfall", role: "table", "aria-label": "Spans" },
            axis(summary.duration_ms),
            found.slice(0, MOST).map((row) => (row.kind === "wait" ? wait(row, summary.duration_ms) : span(row, summary.duration_ms, services, chosen, folded, on))),
        ),
        found.length > MOST && h("p", { class: "hint" }, `The first ${MOST} of ${found.length} rows.`),
        logs.length > 0 && logged(logs),
        h("p", { class: "hint" }, "Trace ", h("code", null, summary.trace_id), app.session.jaeger_url && [" · ", h("a", { href: `${app.session.jaeger_url.replace(/\/$/, "")}/trace/${encodeURIComponent(summary.trace_id)}`, target: "_blank", rel: "noopener" }, "open in Jaeger")]),
    );
}

/** @param {LogLine[]} logs */
const logged = (logs) =>
    h(
        "div",
        { key: "logs" },
        h("h3", null, "What was logged"),
        h(
            "ol",
            { class: "log" },
            logs.slice(0, MOST).map((line, index) =>
                h(
                    "li",
                    { key: index, class: /^(ERROR|CRITICAL)$/.test(line.level) ? "is-error" : null },
                    h("time", { datetime: line.at }, time(line.at)),
                    h("code", null, h("b", null, `${short(line.instance, 40)} ${line.level.toLowerCase()}`), ` ${short(eventText({ name: line.message, attributes: line.more }), 1000)}`),
                ),
            ),
        ),
    );

/** @param {number} whole */
const axis = (whole) =>
    h(
        "div",
        { class: "span-row axis", "aria-hidden": "true" },
        h("span"),
        h("svg", { class: "span-bars" }, ticks(whole, 6).map((at) => h("text", { key: at, x: `${Math.min((100 * at) / Math.max(whole, 1e-9), 99)}%`, y: 13, "text-anchor": at === 0 ? "start" : at >= whole * 0.95 ? "end" : "middle" }, at ? millis(at) : "0"))),
        h("span"),
    );

/** @param {number} at @param {number} whole */
const place = (at, whole) => `${Math.min(100, Math.max(0, (100 * at) / Math.max(whole, 1e-9))).toFixed(2)}%`;

/** @param {Extract<Row, {kind: "wait"}>} row @param {number} whole */
const wait = (row, whole) =>
    h(
        "div",
        { class: "span-row wait", role: "row", key: row.key },
        h("span", { class: `span-name depth-${Math.min(row.depth, 8)}`, role: "cell" }, h("em", null, row.text)),
        h("svg", { class: "span-bars", "aria-hidden": "true" }, h("line", { x1: place(row.from, whole), x2: place(row.to, whole), y1: 11, y2: 11 })),
        h("span", { class: "number", role: "cell" }, millis(row.to - row.from)),
    );

/**
 * @param {Extract<Row, {kind: "span"}>} row @param {number} whole @param {string[]} services @param {string} chosen
 * @param {Set<string>} folded @param {{fold: (id: string) => void, choose: (id: string) => void}} on
 */
function span(row, whole, services, chosen, folded, on) {
    const { span: each } = row;
    const open = chosen === each.span_id;
    const hue = services.indexOf(each.service) % HUES;
    const wide = `${Math.max(0.4, Math.min(100, (100 * (row.to - row.from)) / Math.max(whole, 1e-9))).toFixed(2)}%`;
    return h(
        "div",
        { class: "span-block", role: "rowgroup", key: each.span_id },
        h(
            "div",
            { class: `span-row${each.error ? " is-error" : ""}`, role: "row" },
            h(
                "span",
                { class: `span-name depth-${Math.min(row.depth, 8)}`, role: "cell" },
                row.folds > 0
                    ? button(folded.has(each.span_id) ? "+" : "−", () => on.fold(each.span_id), { class: "fold", key: "fold", "aria-label": `${folded.has(each.span_id) ? "Unfold" : "Fold"} ${counted(row.folds, "call")} below ${each.name}`, "aria-expanded": folded.has(each.span_id) ? "false" : "true" })
                    : h("span", { class: "no-fold", key: "fold" }),
                h("i", { class: `dot hue-${hue}`, title: each.service }),
                h("button", { type: "button", class: "span-open", "aria-expanded": open ? "true" : "false", title: `${each.service}: ${each.name}`, on: { click: () => on.choose(each.span_id) } }, each.error && shape("bad"), short(each.name, 60)),
            ),
            h(
                "svg",
                { class: "span-bars", "aria-hidden": "true" },
                h("rect", { class: `hue-${hue}`, x: place(row.from, whole), y: 5, width: wide, height: 12, rx: 2 }),
                each.error && h("rect", { class: "failed", x: place(row.from, whole), y: 18, width: wide, height: 2 }),
                each.events.map((event, index) => h("line", { key: index, class: "event", x1: place(event.offset_ms, whole), x2: place(event.offset_ms, whole), y1: 2, y2: 20 })),
            ),
            h("span", { class: "number", role: "cell" }, millis(each.duration_ms)),
        ),
        open && inside(each),
    );
}

/** @param {TraceSpan} each */
function inside(each) {
    const error = errorOf(each);
    return h(
        "div",
        { class: "span-inside", key: "inside", role: "row" },
        h(
            "div",
            { role: "cell" },
            h("p", null, h("strong", null, each.service), ` · ${each.kind.toLowerCase()} · began ${millis(each.offset_ms)} after the request did`),
            error && badge("bad", short(error, 120)),
            each.events.length > 0 && h("ol", { class: "log" }, each.events.map((event, index) => h("li", { key: index }, h("time", null, millis(event.offset_ms)), h("code", null, short(eventText(event), 600))))),
            h("dl", { class: "attributes" }, Object.entries(each.attributes).map(([name, value]) => entry(short(name, 80), h("code", null, short(value, 300))))),
            each.links.length > 0 && h("p", null, "Has to do with ", each.links.map((id) => h("a", { key: id, href: `#/requests/${encodeURIComponent(id)}` }, short(id, 9), " "))),
        ),
    );
}
