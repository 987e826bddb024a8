/* Circuits: how every process protects itself from those that it depends on, and every limit. */

/** @import {App} from "../app.js" */
/** @import {Circuit} from "../../../types" */

import { h } from "../lib/dom.js";
import { count, time } from "../lib/format.js";
import { isBroken, rank } from "../model/circuits.js";
import { button, circuitBadge, confirm, empty, needsSignIn, panel, table } from "./parts.js";

/** @param {App} app */
export function circuitsPage(app) {
    let text = "";
    let held = false;
    return {
        view() {
            const policies = app.picture?.policies;
            if (!policies) return empty("Waiting for the first picture.");
            const shown = policies.circuits
                .filter((each) => !held || isBroken(each.state))
                .filter((each) => `${each.instance} ${each.dependency}`.includes(text))
                .sort((one, other) => rank(one.state) - rank(other.state) || (id(one) < id(other) ? -1 : 1));
            return h(
                "div",
                { class: "page", key: "circuits" },
                !app.session.may_switch && needsSignIn(app, "open or reset a circuit"),
                h(
                    "form",
                    { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
                    h("label", null, "Find ", h("input", { type: "search", placeholder: "service or dependency", on: { input: (/** @type {any} */ event) => ((text = event.target.value.trim()), app.update()) } })),
                    h("label", { class: "check" }, h("input", { type: "checkbox", on: { change: (/** @type {any} */ event) => ((held = event.target.checked), app.update()) } }), "only those not closed"),
                ),
                panel("Circuits", shown.length ? circuits(app, shown) : empty(held ? "All circuits are closed." : "No circuit is called that.")),
                panel("Limits", policies.limiters.length ? limits(policies.limiters) : empty("Nobody has asked a limit yet.")),
                h("p", { class: "hint" }, "Counts are since each process began."),
            );
        },
    };
}

/** @param {Circuit} each */
const id = (each) => `${each.instance}>${each.dependency}`;

/** @param {App} app @param {Circuit[]} shown */
const circuits = (app, shown) =>
    table(
        "Circuits of every process",
        [
            { head: "From", cell: (each) => h("a", { href: `#/map/${each.service}>${each.dependency}` }, `${each.instance} → ${each.dependency}`) },
            { head: "State", cell: (each) => circuitBadge(each.state) },
            { head: "Failures", number: true, cell: (each) => count(each.failures) },
            { head: "Last failure", number: true, cell: (each) => time(each.last_failure_at) },
            { head: "Opened", number: true, cell: (each) => count(each.opened) },
            { head: "Refused", number: true, cell: (each) => count(each.rejected) },
            { head: "Places", number: true, cell: places },
            { head: "Turned away", number: true, cell: (each) => count(each.turned_away) },
            { head: "Retries", number: true, cell: (each) => (each.retries_over_budget ? `${count(each.retries)}, ${count(each.retries_over_budget)} over budget` : count(each.retries)) },
            { head: "Timeouts", number: true, cell: (each) => count(each.timeouts) },
            { head: "Switch", number: true, cell: (each) => circuitButtons(app, each) },
        ],
        shown,
        id,
    );

/** @param {Circuit} each */
const places = (each) => (each.in_flight === null ? "–" : `${each.in_flight} in use${each.waiting ? `, ${each.waiting} wait` : ""}`);

/** @param {App} app @param {Circuit} each */
export function circuitButtons(app, each) {
    const off = !app.session.may_switch;
    const title = off ? "Sign in first" : null;
    const where = `${each.instance} to ${each.dependency}`;
    return h(
        "div",
        { class: "row tight", key: "switch" },
        each.state !== "forced_open" &&
            button("Force open", () => void open(app, each), { class: "small", disabled: off, title, "aria-label": `Force open: ${where}` }),
        each.state !== "closed" &&
            button("Reset", () => void switched(app, each, "reset"), { class: "small", disabled: off, title, "aria-label": `Reset: ${where}` }),
    );
}

/** @param {App} app @param {Circuit} each */
async function open(app, each) {
    const text = `${each.instance} will call ${each.dependency} no more, until somebody resets the circuit. What needs ${each.dependency} is refused or waits.`;
    if (await confirm("Force this circuit open?", text, "Force it open")) await switched(app, each, "force_open");
}

/** @param {App} app @param {Circuit} each @param {"force_open" | "reset"} action */
const switched = (app, each, action) =>
    app.act("POST", "circuits", { service: each.service, instance: each.instance, dependency: each.dependency, action }, (answer) => {
        const [row] = answer.data;
        return row?.state ? `Circuit of ${row.instance} to ${row.dependency} is ${row.state.replace("_", " ")} now.` : `It could not be done: ${row?.detail ?? "nobody answered"}`;
    });

/** @param {import("../../../types").Limiter[]} shown */
const limits = (shown) =>
    table(
        "What limits have said",
        [
            { head: "Limit", cell: (each) => `${each.instance}: ${each.scope}` },
            { head: "Allowed", number: true, cell: (each) => count(each.allowed) },
            { head: "Refused", number: true, cell: (each) => count(each.refused) },
            { head: "Without the shared store", number: true, cell: (each) => count(each.degraded) },
        ],
        shown,
        (each) => `${each.instance} ${each.scope}`,
    );
