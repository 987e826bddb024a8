/* Who switched what: what people have done, as the monitor has written it down, the newest first. */

/** @import {App} from "../app.js" */
/** @import {AuditEntry} from "../../../types" */

import { h } from "../lib/dom.js";
import { seconds, short, time, words } from "../lib/format.js";
import { Asked } from "../net/api.js";
import { badge, empty, panel, table } from "./parts.js";

const SHOWN = 20;

/** @type {Record<string, (entry: AuditEntry) => string>} */
const SENTENCES = {
    fault: ({ target, parameters }) => `switched on “${words(String(parameters.mode))}” of ${target} for ${seconds(Number(parameters.seconds))}`,
    "end-fault": ({ target }) => (target === "all" ? "ended all faults" : `ended the fault ${target}`),
    circuit: ({ target, parameters }) => `${parameters.action === "reset" ? "reset" : "forced open"} the circuit of ${target.replace("/", " to ")}`,
    redrive: ({ parameters }) => `redrove ${jobs(parameters.job_id)}`,
    purge: ({ parameters }) => `put away ${jobs(parameters.job_id)}`,
    pause: () => "paused the queue",
    resume: () => "resumed the queue",
    run: ({ target }) => `ran ${target}`,
    stop: ({ target }) => `stopped the run ${target}`,
    try: ({ target }) => `tried: ${target}`,
    "sign-in": ({ parameters }) => `signed in by ${parameters.by}`,
    "sign-out": () => "signed out",
    ticket: () => "asked for a link that signs in",
};

/** @param {string | number | null | undefined} id */
const jobs = (id) => (id ? `job ${id}` : "all dead letters");

/** @param {AuditEntry} entry */
export const sentence = (entry) => short(Object.hasOwn(SENTENCES, entry.action) ? /** @type {any} */ (SENTENCES[entry.action])(entry) : `${words(entry.action)} ${entry.target}`, 160);

/** @param {App} app */
export function audit(app) {
    /** @type {Asked<{data: AuditEntry[]}>} */
    const asked = new Asked(`audit?limit=${SHOWN}`, () => app.update());
    return {
        /** Only those who may switch may know who did. */
        look: async () => (app.session.may_switch ? asked.look() : undefined),
        view() {
            if (!app.session.may_switch) return null;
            if (!asked.told && !asked.trouble && !asked.asking) void asked.look();
            const entries = asked.told?.data;
            return panel(
                "Who switched what",
                asked.trouble && h("p", { class: "hint tone-bad", role: "alert" }, asked.trouble),
                entries?.length === 0 && empty("Nobody has switched anything since the monitor began."),
                entries?.length && table("What was switched, the newest first", COLUMNS, entries, (entry) => `${entry.at} ${entry.action}`),
            );
        },
    };
}

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
    { head: "When", cell: (entry) => time(entry.at) },
    { head: "Who", cell: (entry) => short(entry.who || "not known", 60) },
    { head: "What", cell: sentence },
    { head: "Came to", cell: (entry) => (entry.outcome === "done" ? badge("well", "done") : badge("watch", words(short(entry.outcome, 40)))) },
];
