/* Reports: what experiments and guides have found, each a page of its own. */

/** @import {App} from "../app.js" */
/** @import {Report} from "../../../types" */

import { h } from "../lib/dom.js";
import { day } from "../lib/format.js";
import { Asked, address } from "../net/api.js";
import { badge, empty, panel, table } from "./parts.js";
import { TONES } from "./scenarios.js";

const EVERY = 10_000;

/** @param {App} app */
export function reportsPage(app) {
    /** @type {Asked<{data: Report[]}>} */
    const asked = new Asked("lab/reports", () => app.update());

    return {
        enter: () => asked.keep(EVERY),
        view() {
            if (!app.session.lab_available) return h("p", { class: "hint", key: "none" }, "There is no lab beside this system. ", h("code", null, "bookstore up"), " starts one.");
            const reports = asked.told?.data;
            return h(
                "div",
                { class: "page", key: "reports" },
                asked.trouble && h("p", { class: "hint tone-bad", role: "alert" }, asked.trouble),
                panel(
                    "Reports",
                    reports?.length === 0 && empty("Nothing has been run yet. ", h("a", { href: "#/scenarios" }, "Run something.")),
                    reports && reports.length > 0 &&
                        table(
                            "Reports, the newest first",
                            [
                                { head: "What was run", cell: (each) => h("a", { href: address(`lab/reports/${encodeURIComponent(each.id)}`), target: "_blank", rel: "noopener" }, each.name, h("span", { class: "unseen" }, " (opens a new page)")) },
                                { head: "Kind", cell: (each) => each.kind },
                                { head: "Verdict", cell: (each) => badge(TONES[each.verdict] ?? "unknown", each.verdict) },
                                { head: "When", number: true, cell: (each) => day(each.at) },
                            ],
                            reports,
                            (each) => each.id,
                        ),
                ),
            );
        },
    };
}
