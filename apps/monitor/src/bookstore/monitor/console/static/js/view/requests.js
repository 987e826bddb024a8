/* Requests: the last traces as they come, and one of them in full. */

/** @import {App} from "../app.js" */
/** @import {TraceSummary} from "../../../types" */

import { h } from "../lib/dom.js";
import { count, counted, millis, short, time } from "../lib/format.js";
import { ask } from "../net/api.js";
import { badge, button, empty, panel } from "./parts.js";
import { tracePage } from "./trace.js";

const SHOWN = 100;
/** What the console itself, and the keepers of the system, ask all the time. */
const OWN = /^(GET \/(get_failure_mode|metrics|health|v2\/circuits|v1\/queue|keys|\.well-known)|GET \/v2\/monitor|process heartbeat)/;

/** @param {App} app @param {{query: URLSearchParams}} route */
export function requestsPage(app, route) {
    let text = "";
    let service = route.query.get("service") ?? "";
    let least = 0;
    let failed = false;
    let own = false;
    /** While it is held, nothing moves under the reader's hand. @type {TraceSummary[] | null} */
    let held = null;
    const trace = tracePage(app);

    async function look() {
        const names = service ? `&service=${encodeURIComponent(service)}` : "";
        const found = await ask(`traces?limit=200${names}${failed ? "&errors=true" : ""}`).catch(() => null);
        if (found) app.take(found.data);
        app.update();
    }

    /** @param {TraceSummary} each */
    const wanted = (each) =>
        (!service || each.services.includes(service)) &&
        (!failed || each.errors > 0) &&
        each.duration_ms >= least &&
        (own || !OWN.test(each.name)) &&
        (!text || `${each.name} ${each.trace_id} ${each.services.join(" ")}`.toLowerCase().includes(text.toLowerCase()));

    return {
        enter() {
            void look();
            const leave = trace.enter();
            // Traces also come with the stream; asking now and then finds those that have grown since.
            const timer = setInterval(() => document.hidden || held || void look(), 5000);
            return () => (clearInterval(timer), leave());
        },
        view() {
            const all = held ?? app.traces;
            const shown = all.filter(wanted);
            const services = [...new Set(app.picture?.topology.services.map((node) => node.service))];
            const open = app.route[1];
            return h(
                "div",
                { class: `page split${open ? " has-open" : ""}`, key: "requests" },
                h(
                    "section",
                    { class: "panel list", "aria-label": "Requests", key: "list" },
                    h(
                        "form",
                        { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
                        h("label", null, "Find ", h("input", { type: "search", placeholder: "name, path or trace id", on: { input: (/** @type {any} */ event) => ((text = event.target.value.trim()), app.update()) } })),
                        h(
                            "label",
                            null,
                            "Service ",
                            h("select", { on: { change: (/** @type {any} */ event) => ((service = event.target.value), void look()) } }, h("option", { value: "", key: "" }, "all"), services.map((name) => h("option", { value: name, key: name, selected: name === service }, name))),
                        ),
                        h("label", null, "At least ", h("input", { type: "number", min: 0, class: "tiny", on: { input: (/** @type {any} */ event) => ((least = Number(event.target.value) || 0), app.update()) } }), " ms"),
                        h("label", { class: "check" }, h("input", { type: "checkbox", on: { change: (/** @type {any} */ event) => ((failed = event.target.checked), void look()) } }), "failed"),
                        h("label", { class: "check" }, h("input", { type: "checkbox", on: { change: (/** @type {any} */ event) => ((own = event.target.checked), app.update()) } }), "housekeeping"),
                        button(held ? "Go on" : "Hold", () => ((held = held ? null : app.traces), app.update()), { class: "small", key: "hold", "aria-pressed": held ? "true" : "false" }),
                    ),
                    shown.length === 0
                        ? empty(all.length ? "None of the last requests is like that." : "No request has been traced yet. ", !all.length && h("a", { href: "#/try" }, "Try one."))
                        : h("ol", { class: "requests" }, shown.slice(0, SHOWN).map((each) => row(each, open === each.trace_id))),
                    h("p", { class: "hint" }, `${count(Math.min(shown.length, SHOWN))} of ${counted(all.length, "request")}, the newest first${held ? "; held" : ""}.`),
                ),
                open ? trace.view(open) : panel("A request in full", empty("Choose a request to see what it did, span by span.")),
            );
        },
    };
}

/** @param {TraceSummary} each @param {boolean} isOpen */
const row = (each, isOpen) =>
    h(
        "li",
        { key: each.trace_id },
        h(
            "a",
            { href: `#/requests/${encodeURIComponent(each.trace_id)}`, "aria-current": isOpen ? "true" : null },
            h("time", { datetime: each.started_at }, time(each.started_at)),
            h("span", { class: "request-name" }, short(each.name, 80)),
            h("span", { class: "number" }, millis(each.duration_ms)),
            h("span", { class: "faint services" }, short(each.services.join(" · "), 90)),
            each.errors ? badge("bad", counted(each.errors, "error")) : h("span", { class: "faint" }, counted(each.spans, "span")),
        ),
    );
