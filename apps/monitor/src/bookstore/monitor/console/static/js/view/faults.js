/* Faults: what fails on purpose, until when, and what else can be made to fail. */

/** @import {App} from "../app.js" */
/** @import {Fault, Faults, PossibleFault, Parameter} from "../../../types" */

import { h } from "../lib/dom.js";
import { clock, seconds, time, words } from "../lib/format.js";
import { Asked } from "../net/api.js";
import { audit } from "./audit.js";
import { badge, button, confirm, empty, needsSignIn, panel } from "./parts.js";

const EVERY = 5000;

/** @param {App} app @param {{query: URLSearchParams}} route */
export function faultsPage(app, route) {
    /** @type {Asked<Faults>} */
    const asked = new Asked("faults", () => app.update());
    /** What somebody has typed, by fault and parameter. @type {Map<string, string>} */
    const typed = new Map();
    const done = audit(app);
    const look = () => Promise.all([asked.look(), done.look()]);

    /** @param {PossibleFault} fault */
    async function begin(fault) {
        const told = read(fault, typed);
        if (typeof told === "string") return app.say(told, "bad");
        const text = `${fault.says} It ends by itself after ${seconds(told.seconds)}.`;
        const sure = fault.kind === "supplier" || (await confirm(`${heading(fault)}?`, text, `${heading(fault)} for ${seconds(told.seconds)}`));
        if (!sure) return undefined;
        const body = { service: fault.service, kind: fault.kind, mode: fault.mode, ...told };
        await app.act("POST", "faults", body, `${heading(fault)}: switched on for ${seconds(told.seconds)}.`);
        return look();
    }

    /** @param {Fault} fault */
    async function end(fault) {
        await app.act("DELETE", `faults/${encodeURIComponent(fault.id)}`, null, `${fault.service}: “${words(fault.mode)}” has ended.`);
        await look();
    }

    async function endAll() {
        await app.act("DELETE", "faults", null, "All faults have ended.");
        await look();
    }

    return {
        enter() {
            const timer = setInterval(() => void look(), EVERY);
            void look();
            return () => clearInterval(timer);
        },
        view() {
            const { told: faults, trouble } = asked;
            const active = app.picture?.topology.faults ?? faults?.data ?? [];
            const possible = faults?.possible ?? [];
            const services = [...new Set(possible.map((each) => each.service))];
            const wanted = services.find((each) => each === route.query.get("service")) ?? services[0];
            const may = app.session.may_switch && app.session.faults_allowed;
            return h(
                "div",
                { class: "page", key: "faults" },
                trouble && h("p", { class: "hint tone-bad", role: "alert" }, trouble),
                !app.session.faults_allowed
                    ? h("p", { class: "hint", key: "off" }, "Faults can’t be switched on here: the monitor’s setting FAULTS_ALLOWED is off. ", h("code", null, "bookstore up"), " switches it on.")
                    : !app.session.may_switch && needsSignIn(app, "switch a fault on or off"),
                panel(
                    "Switched on now",
                    active.length === 0 && empty("Nothing fails on purpose."),
                    h("ul", { class: "cards" }, active.map((fault) => card(app, fault, may, end))),
                    active.length > 1 && button("End all faults now", () => void endAll(), { disabled: !may }),
                ),
                wanted
                    ? panel(
                          "Break something",
                          h("nav", { class: "row", "aria-label": "What to break" }, services.map((each) => h("a", { key: each, class: "chip", href: `#/faults?service=${encodeURIComponent(each)}`, "aria-current": each === wanted ? "true" : null }, each))),
                          h("div", { class: "faults", key: wanted }, possible.filter((each) => each.service === wanted).map((each) => form(each, typed, may, begin, () => app.update()))),
                      )
                    : faults && empty("Nothing here can be made to fail."),
                done.view(),
            );
        },
    };
}

/** What will be done, as an order. @param {PossibleFault | Fault} fault */
const heading = (fault) => `${fault.service}: ${words(fault.mode)}`;

/** @param {App} app @param {Fault} fault @param {boolean} may @param {(fault: Fault) => unknown} end */
function card(app, fault, may, end) {
    const began = Date.parse(fault.since);
    const ends = fault.ends_at ? Date.parse(fault.ends_at) : NaN;
    const left = (ends - app.now) / 1000;
    const share = Math.max(0, Math.min(1, (ends - app.now) / (ends - began)));
    const told = Object.entries(fault.parameters).map(([name, value]) => `${words(name)} ${value}`);
    return h(
        "li",
        { class: "card", key: fault.id },
        h("div", { class: "row" }, h("strong", null, heading(fault)), badge("watch", Number.isNaN(left) ? "without an end" : `ends by itself in ${clock(left)}`)),
        !Number.isNaN(left) && h("svg", { class: "bar tone-watch", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, h("rect", { class: "bar-all", width: 100, height: 4 }), h("rect", { class: "bar-part", width: share * 100, height: 4 })),
        h("p", { class: "faint" }, [`since ${time(fault.since)}`, fault.by && `by ${fault.by}`, ...told].filter(Boolean).join(" · ")),
        button("End it now", () => end(fault), { disabled: !may, class: "small", "aria-label": `End it now: ${heading(fault)}` }),
    );
}

/** @param {PossibleFault} fault */
const idOf = (fault) => `${fault.service}/${fault.kind}/${fault.mode}`;

/** @param {PossibleFault} fault @param {Map<string, string>} typed @param {boolean} may @param {(fault: PossibleFault) => unknown} begin @param {() => void} update */
function form(fault, typed, may, begin, update) {
    const id = idOf(fault);
    const lasts = typed.get(`${id}/seconds`) ?? "60";
    const says = `for-${id.replaceAll(/[^a-z]/g, "-")}`;
    return h(
        "form",
        { class: "card fault", key: id, "aria-describedby": says, on: { submit: (/** @type {Event} */ event) => (event.preventDefault(), begin(fault)) } },
        h("div", { class: "row" }, h("h3", null, words(fault.mode)), h("span", { class: "faint" }, fault.kind)),
        h("p", { id: says }, fault.says),
        h(
            "div",
            { class: "fields" },
            Object.entries(fault.parameters).map(([name, parameter]) => field(`${id}/${name}`, words(name), parameter, typed, update)),
            field(`${id}/seconds`, "for", { default: 60, least: 1, most: 600, unit: "s", choices: [] }, typed, update),
        ),
        h("button", { type: "submit", class: "button danger", disabled: !may, title: may ? null : "Sign in first", "aria-label": `Switch on for ${lasts} s: ${heading(fault)}` }, `Switch on for ${lasts} s`),
    );
}

/** @param {string} id @param {string} name @param {Parameter} parameter @param {Map<string, string>} typed @param {() => void} update */
function field(id, name, parameter, typed, update) {
    const keep = (/** @type {any} */ event) => {
        typed.set(id, event.target.value);
        update();
    };
    const first = { value: typed.get(id) ?? String(parameter.default ?? "") };
    const input = parameter.choices?.length
        ? h("select", { on: { change: keep } }, parameter.choices.map((choice) => h("option", { key: choice, value: choice }, choice)))
        : typeof parameter.default === "number"
          ? h("input", { type: "number", min: parameter.least, max: parameter.most, step: "any", required: true, first, on: { input: keep } })
          : h("input", { type: "text", maxlength: 100, first, on: { input: keep } });
    return h("label", { key: id }, h("span", null, name), input, parameter.unit && h("span", { class: "unit" }, parameter.unit));
}

/** What was typed in, as the monitor wants it; words if it can't be used. @param {PossibleFault} fault @param {Map<string, string>} typed
 * @returns {string | {parameters: Record<string, number | string>, seconds: number}} */
export function read(fault, typed) {
    const id = idOf(fault);
    /** @type {Record<string, number | string>} */
    const parameters = {};
    for (const [name, parameter] of Object.entries(fault.parameters)) {
        const given = typed.get(`${id}/${name}`);
        if (given === undefined || given === "") continue;
        if (typeof parameter.default !== "number") parameters[name] = given;
        else if (!within(Number(given), parameter.least, parameter.most)) return `${words(name)} has to be ${range(parameter)}.`;
        else parameters[name] = Number(given);
    }
    const lasts = Number(typed.get(`${id}/seconds`) ?? 60);
    if (!within(lasts, 1, 600)) return "A fault lasts from 1 to 600 seconds.";
    return { parameters, seconds: lasts };
}

/** @param {number} value @param {number | null} least @param {number | null} most */
const within = (value, least, most) => Number.isFinite(value) && value >= (least ?? -Infinity) && value <= (most ?? Infinity);

/** @param {Parameter} parameter */
const range = ({ least, most }) => (least === null ? `at most ${most}` : most === null ? `at least ${least}` : `from ${least} to ${most}`);
