/* Scenarios: guides and experiments as buttons, and the steps of the one that runs. */

/** @import {App} from "../app.js" */
/** @import {Run, Runnable} from "../../../types" */

import { h } from "../lib/dom.js";
import { counted, seconds, time } from "../lib/format.js";
import { Asked, address } from "../net/api.js";
import { badge, button, confirm, empty, needsSignIn, panel } from "./parts.js";

/** @type {Record<string, string>} */
export const TONES = { running: "busy", ok: "well", passed: "well", valid: "well", bad: "bad", failed: "bad", invalid: "bad", error: "bad", interrupted: "watch", unknown: "unknown" };

/** A desk that comes later, or again, may offer others. */
const EVERY = 30_000;

/** @param {App} app */
export function scenariosPage(app) {
    /** @type {Asked<{data: Runnable[]}>} */
    const asked = new Asked("lab/catalogue", () => app.update());
    let text = "";

    /** @param {Runnable} each */
    async function run(each) {
        const says = `“${each.title}” starts processes of its own and breaks those, never the ones on the map. It takes about ${seconds(each.seconds)} and much of this machine.`;
        if (await confirm(`Run ${each.name}?`, says, `Run ${each.name}`)) {
            await app.act("POST", "lab/runs", { kind: each.kind, name: each.name }, `${each.name} runs.`);
        }
    }

    /** @param {Run} each */
    async function stop(each) {
        if (await confirm(`Stop ${each.name}?`, "What it has done is taken back first, which may take some seconds. It will prove nothing.", `Stop ${each.name}`)) {
            await app.act("DELETE", `lab/runs/${encodeURIComponent(each.id)}`, null, `${each.name} is being stopped.`);
        }
    }

    return {
        enter: () => asked.keep(EVERY),
        view() {
            const now = app.picture?.run ?? null;
            const may = app.session.may_switch;
            const { trouble } = asked;
            const catalogue = asked.told?.data;
            const found = (catalogue ?? []).filter((each) => `${each.name} ${each.title} ${each.tags.join(" ")}`.toLowerCase().includes(text.toLowerCase()));
            return h(
                "div",
                { class: "page", key: "scenarios" },
                !app.session.lab_available && h("p", { class: "hint", key: "none" }, "There is no lab beside this system. ", h("code", null, "bookstore up"), " starts one."),
                trouble && app.session.lab_available && h("p", { class: "hint tone-bad", role: "alert" }, trouble),
                app.session.lab_available && !may && needsSignIn(app, "run something"),
                now && running(app, now, may, stop),
                catalogue &&
                    h("form", { class: "filters", role: "search", key: "find", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } }, h("label", null, "Find ", h("input", { type: "search", placeholder: "name or tag", on: { input: (/** @type {any} */ event) => ((text = event.target.value.trim()), app.update()) } }))),
                ["scenario", "experiment"].map((kind) => group(kind, found, may && now?.state !== "running", run)),
            );
        },
    };
}

/** @param {string} kind @param {Runnable[]} found @param {boolean} may @param {(each: Runnable) => unknown} run */
function group(kind, found, may, run) {
    const own = found.filter((each) => each.kind === kind);
    if (!own.length) return null;
    return panel(
        kind === "scenario" ? "Guides, step by step" : "Experiments",
        h(
            "ul",
            { class: "cards wide" },
            own.map((each) =>
                h(
                    "li",
                    { class: "card", key: each.name },
                    h("div", { class: "row between" }, h("h3", null, each.title), h("span", { class: "faint" }, `about ${seconds(each.seconds)}`)),
                    h("p", null, each.says),
                    h("div", { class: "row between" }, h("span", { class: "faint" }, [each.name, ...each.tags].join(" · ")), button(`Run ${each.name}`, () => run(each), { class: "small", disabled: !may })),
                ),
            ),
        ),
    );
}

/** @param {App} app @param {Run} now @param {boolean} may @param {(run: Run) => unknown} stop */
function running(app, now, may, stop) {
    const end = now.ended_at ? Date.parse(now.ended_at) : app.now;
    return panel(
        now.state === "running" ? "Running now" : "Ran last",
        h(
            "div",
            { class: "row" },
            h("h3", null, now.name),
            badge(TONES[now.state] ?? "unknown", now.state),
            h("span", { class: "faint" }, `${now.state === "running" ? `${now.phase}, for ` : "took "}${seconds(Math.max(0, Math.round((end - Date.parse(now.started_at)) / 1000)))}`),
            now.state === "running" && button(`Stop ${now.name}`, () => stop(now), { class: "small danger", disabled: !may }),
            now.report && h("a", { href: address(`lab/reports/${encodeURIComponent(now.report)}`), target: "_blank", rel: "noopener" }, "Read its report"),
        ),
        h(
            "ol",
            { class: "steps" },
            now.steps.map((step, index) =>
                h(
                    "li",
                    { key: index },
                    badge(TONES[step.verdict] ?? "unknown", step.verdict),
                    h("div", null, h("strong", null, step.title), step.expected && h("p", { class: "faint" }, `Expected: ${step.expected}`), step.seen && h("p", null, `Seen: ${step.seen}`)),
                    h("time", { datetime: step.at }, time(step.at)),
                ),
            ),
        ),
        now.steps.length === 0 && empty("It prepares."),
        h("p", { class: "unseen", role: "status" }, `${counted(now.steps.length, "step")} so far, ${now.state}`),
    );
}
