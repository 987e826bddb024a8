/* Try: buttons that send real requests through the front door, and what came of each. */

/** @import {App} from "../app.js" */
/** @import {Tried, TriedAnswer} from "../../../types" */

import { h } from "../lib/dom.js";
import { count, counted, millis, short } from "../lib/format.js";
import { badge, empty, needsSignIn, panel } from "./parts.js";

const KEPT = 12;

/** @type {{what: string, title: string, says: string}[]} */
const ATTEMPTS = [
    { what: "browse", title: "Browse", says: "Reads a page of the catalogue, as a visitor does." },
    { what: "book", title: "Look at a book", says: "Reads one book." },
    { what: "buy", title: "Buy a book", says: "Logs in as a customer and orders one book. Follow its trace into the queue." },
    { what: "flood", title: "Flood", says: "200 requests, 20 at a time, for 10 seconds at most. Watch the limits." },
];

/** @param {App} app */
export function tryPage(app) {
    /** @type {{id: number, title: string, tried: Tried}[]} */
    let done = [];
    let busy = "";

    /** @param {{what: string, title: string}} attempt */
    async function go({ what, title }) {
        busy = what;
        app.update();
        const tried = await app.act("POST", "try", { what }, "");
        busy = "";
        if (tried) done = [{ id: performance.now(), title, tried }, ...done].slice(0, KEPT);
        app.update();
    }

    return {
        view() {
            const may = app.session.may_switch;
            return h(
                "div",
                { class: "page", key: "try" },
                !may && needsSignIn(app, "send requests from here"),
                panel(
                    "Send something",
                    h(
                        "div",
                        { class: "tries" },
                        ATTEMPTS.map((attempt) =>
                            h(
                                "button",
                                { type: "button", class: "try", key: attempt.what, disabled: !may || busy !== "", "aria-busy": busy === attempt.what ? "true" : null, on: { click: () => void go(attempt) } },
                                h("strong", null, busy === attempt.what ? "On its way…" : attempt.title),
                                h("span", null, attempt.says),
                            ),
                        ),
                    ),
                ),
                panel("What came of it", done.length === 0 ? empty("Nothing has been sent yet.") : h("ol", { class: "tried" }, done.map((each) => result(each)))),
            );
        },
    };
}

/** @param {{id: number, title: string, tried: Tried}} each */
function result({ id, title, tried }) {
    const { summary, answers } = tried;
    return h(
        "li",
        { class: "card", key: id },
        h(
            "div",
            { class: "row" },
            h("strong", null, title),
            summary.requests > 1 && h("span", { class: "faint" }, `${counted(summary.requests, "request")}, half within ${millis(summary.p50_ms)}, 95 of 100 within ${millis(summary.p95_ms)}`),
            summary.requests > 1 && Object.entries(summary.by_status).map(([status, number]) => h("span", { key: status }, badge(toneOf(status), `${count(number)} × ${status === "none" ? "no answer" : status}`))),
        ),
        answers.slice(0, 12).map((answer, index) => one(answer, index)),
    );
}

/** @param {string} status */
const toneOf = (status) => (/^[23]/.test(status) ? "well" : /^4/.test(status) ? "watch" : "bad");

/** @param {TriedAnswer} answer @param {number} index */
const one = (answer, index) =>
    h(
        "details",
        { class: "answer", key: index },
        h(
            "summary",
            null,
            badge(toneOf(String(answer.status ?? "none")), String(answer.status ?? "no answer")),
            h("code", null, `${answer.method} ${answer.path}`),
            h("span", { class: "number" }, millis(answer.ms)),
            /^[0-9a-f]{32}$/.test(answer.trace_id) && h("a", { href: `#/requests/${answer.trace_id}` }, "its trace"),
        ),
        h("pre", { tabindex: "0" }, pretty(answer.body)),
        h("p", { class: "faint" }, `request ${short(answer.request_id, 64)}`),
    );

/** @param {string} body */
function pretty(body) {
    try {
        return JSON.stringify(JSON.parse(body), null, 2);
    } catch {
        return body || "(nothing)";
    }
}
