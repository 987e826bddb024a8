/* The queue: what orders are owed, where it stands, and what has given up. */

/** @import {App} from "../app.js" */
/** @import {Queue, Job, JobHistory, KindStatus} from "../../../types" */

import { h } from "../lib/dom.js";
import { count, counted, day, seconds, short, shortTime, time } from "../lib/format.js";
import { ask, Asked } from "../net/api.js";
import { chart } from "./chart.js";
import { badge, button, confirm, dialog, empty, entry, needsSignIn, panel, table } from "./parts.js";

const EVERY = 2000;

/** Where a job may stand, in the order in which it goes. @type {[keyof KindStatus, string, string][]} */
const PLACES = [
    ["waiting", "not yet due, or just written", "unknown"],
    ["published", "told to the workers", "accent"],
    ["in_hand", "being worked on", "well"],
    ["parked", "put off, because somebody is away", "watch"],
    ["dead", "given up: dead letters", "bad"],
];

/** @param {App} app */
export function queuePage(app) {
    /** @type {Asked<Queue>} */
    const asked = new Asked("queue", () => app.update());

    /** @param {string} path @param {unknown} body @param {string | ((answer: any) => string)} done */
    async function act(path, body, done) {
        await app.act("POST", `queue/${path}`, body, done);
        await asked.look();
    }

    /** @param {Job | null} job */
    const redrive = (job) => act("redrive", { job_id: job?.id ?? null }, (answer) => `${counted(answer.redriven, "job")} will be tried again.`);

    /** @param {Job | null} job @param {number} total */
    async function purge(job, total) {
        const what = job ? `job ${job.id} of order ${job.order_id}` : counted(total, "dead letter");
        if (await confirm(`Put away ${what}?`, "It is never tried again. The orders stay as they are, and their history keeps what happened.", `Put away ${what}`)) {
            await act("purge", { job_id: job?.id ?? null }, (answer) => `${counted(answer.purged, "job")} put away.`);
        }
    }

    async function pause() {
        const text = "Workers take no more jobs until somebody resumes. Orders are still accepted, and wait.";
        if (await confirm("Pause the queue?", text, "Pause the queue")) await act("pause", {}, "The queue is paused.");
    }

    return {
        enter: () => asked.keep(EVERY),
        view() {
            const { told: queue, trouble } = asked;
            const may = app.session.may_switch;
            const known = app.picture?.topology.queue ?? queue?.known;
            const paused = queue?.status?.paused_since;
            return h(
                "div",
                { class: "page", key: "queue" },
                trouble && h("p", { class: "hint tone-bad", role: "alert" }, trouble),
                !may && needsSignIn(app, "redrive, put away, pause or resume"),
                panel(
                    "What is owed",
                    h(
                        "dl",
                        { class: "pairs large" },
                        entry("not finished", count(known?.unfinished)),
                        entry("oldest", known ? seconds(known.oldest_age_seconds) : "–"),
                        entry("parked", count(known?.parked)),
                        entry("dead letters", count(known?.dead)),
                    ),
                    paused && h("p", { class: "row" }, badge("watch", `paused since ${shortTime(paused)}`)),
                    queue && !queue.status && h("p", { class: "hint" }, "Orders doesn’t tell at the moment; this is what was told last."),
                    Object.entries(queue?.status?.kinds ?? {}).map(([kind, status]) => kindBar(kind, status)),
                    h(
                        "div",
                        { class: "row" },
                        paused
                            ? button("Resume the queue", () => void act("resume", {}, "The queue goes on."), { disabled: !may })
                            : button("Pause the queue", () => void pause(), { disabled: !may }),
                    ),
                ),
                chart(app, "Orders that wait", ["waiting", "parked"]),
                dead(queue, may, redrive, purge, show),
            );
        },
    };
}

/** @param {string} kind @param {KindStatus} status */
function kindBar(kind, status) {
    const all = PLACES.reduce((sum, [name]) => sum + status[name], 0);
    let x = 0;
    return h(
        "div",
        { class: "kind", key: kind },
        h("div", { class: "row" }, h("strong", null, kind), h("span", { class: "faint" }, all ? `${counted(all, "job")}, the oldest for ${seconds(status.oldest_age_seconds)}` : "nothing to do")),
        h(
            "svg",
            { class: "bar tall", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
            h("rect", { class: "bar-all", width: 100, height: 10 }),
            PLACES.map(([name, , tone]) => {
                const width = all ? (100 * status[name]) / all : 0;
                const part = h("rect", { key: name, class: `bar-part tone-${tone}`, x, width, height: 10 });
                x += width;
                return part;
            }),
        ),
        h("ul", { class: "parts" }, PLACES.map(([name, says, tone]) => h("li", { key: name, title: says, class: `tone-${tone}` }, h("i", { class: "dot" }), `${String(name).replace("_", " ")} ${count(status[name])}`))),
    );
}

/**
 * @param {Queue | null} queue @param {boolean} may @param {(job: Job | null) => unknown} redrive
 * @param {(job: Job | null, total: number) => unknown} purge @param {(job: Job) => unknown} look
 */
function dead(queue, may, redrive, purge, look) {
    const found = queue?.dead?.data ?? [];
    const total = queue?.dead?.total ?? 0;
    return panel(
        "Dead letters",
        found.length === 0
            ? empty(!queue ? "Being fetched." : queue.dead ? "None. Nothing has given up." : "Orders doesn’t tell at the moment.")
            : [
                  h(
                      "div",
                      { class: "row" },
                      button(`Redrive all ${total}`, () => redrive(null), { disabled: !may, key: "all" }),
                      button(`Put away all ${total}`, () => purge(null, total), { disabled: !may, class: "danger", key: "away" }),
                  ),
                  table(
                      "Dead letters, the newest first",
                      [
                          { head: "Job", cell: (job) => button(`${job.id} (${job.kind})`, () => look(job), { class: "link", "aria-haspopup": "dialog" }) },
                          { head: "Order", number: true, cell: (job) => job.order_id },
                          { head: "Cause", cell: (job) => h("span", { class: "cause" }, short(job.cause ?? "not known", 160)) },
                          { head: "Attempts", number: true, cell: (job) => count(job.attempts) },
                          { head: "Given up", number: true, cell: (job) => time(job.finished_at) },
                          {
                              head: "Switch",
                              number: true,
                              cell: (job) =>
                                  h(
                                      "div",
                                      { class: "row tight" },
                                      button("Redrive", () => redrive(job), { class: "small", disabled: !may, "aria-label": `Redrive job ${job.id}` }),
                                      button("Put away", () => purge(job, 1), { class: "small", disabled: !may, "aria-label": `Put away job ${job.id}` }),
                                  ),
                          },
                      ],
                      found,
                      (job) => String(job.id),
                  ),
                  total > found.length && h("p", { class: "hint" }, `The newest ${found.length} of ${total}.`),
              ],
    );
}

/** All that happened to the order of a job. @param {Job} job */
async function show(job) {
    /** @type {JobHistory | null} */
    let history = null;
    let trouble = "";
    try {
        history = await ask(`queue/jobs/${job.id}`);
    } catch (error) {
        trouble = /** @type {Error} */ (error).message;
    }
    await dialog(`Job ${job.id} of order ${job.order_id}`, (close) => [
        trouble && h("p", { class: "hint tone-bad" }, trouble),
        h("dl", { class: "pairs" }, entry("kind", job.kind), entry("state", job.state), entry("order is", job.order_status), entry("attempts", job.attempts), entry("since", day(job.created_at))),
        h("p", { class: "cause" }, job.cause ?? "The cause is not known."),
        h("h3", null, "What happened to the order"),
        h(
            "ol",
            { class: "timeline" },
            (history?.events ?? []).map((event, index) => h("li", { key: index }, h("time", { datetime: event.at }, time(event.at)), h("strong", null, `${event.from_state ?? "new"} → ${event.to_state}`), h("span", { class: "faint" }, event.cause))),
        ),
        history?.events.length === 0 && empty("Nothing yet."),
        h("div", { class: "row end" }, button("Close", () => close(), { autofocus: true })),
    ]);
}
