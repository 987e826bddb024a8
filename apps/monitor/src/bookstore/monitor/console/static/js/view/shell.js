/* What stands round every page: names of the pages, how things are in a sentence, the figures, and who looks on. */

/** @import {App} from "../app.js" */
/** @import {Fact} from "../model/verdict.js" */
/** @import {Tree} from "../../../types" */

import { h } from "../lib/dom.js";
import { count, percent, perSecond, millis, seconds } from "../lib/format.js";
import { isBroken } from "../model/circuits.js";
import { badge, button, shape, spark } from "./parts.js";

export const PAGES = [
    ["map", "Map"],
    ["circuits", "Circuits"],
    ["queue", "Queue"],
    ["faults", "Faults"],
    ["requests", "Requests"],
    ["try", "Try"],
    ["scenarios", "Scenarios"],
    ["reports", "Reports"],
];

/** @param {App} app @param {Tree} page @returns {Tree} */
export function shell(app, page) {
    const title = PAGES.find(([name]) => name === app.route[0])?.[1] ?? "";
    return [
        h("a", { class: "skip", href: "#main", on: { click: skip } }, "Skip to the page"),
        header(app),
        now(app),
        h(
            "main",
            { id: "main", tabindex: "-1", class: app.stale ? "is-stale" : null },
            h("h1", { class: "unseen" }, title),
            page,
        ),
        h("div", { class: "notes", role: "status", "aria-live": "polite" }, app.notes.map((note) => noteView(app, note))),
    ];
}

/** @param {Event} event */
function skip(event) {
    event.preventDefault();
    document.getElementById("main")?.focus();
}

/** @param {App} app @param {import("../app.js").Note} note */
const noteView = (app, note) =>
    h(
        "div",
        { class: `note tone-${note.tone}`, key: note.id },
        shape(note.tone),
        h("span", null, note.text),
        button("Close", () => app.drop(note.id), { class: "link" }),
    );

/** @param {App} app */
function header(app) {
    const marks = marked(app);
    return h(
        "header",
        { class: "top" },
        h("a", { class: "brand", href: "#/map" }, mark(), h("span", null, "Bookstore"), h("span", { class: "brand-of" }, "console")),
        h(
            "nav",
            { "aria-label": "Pages" },
            PAGES.map(([name = "", title = ""]) =>
                h(
                    "a",
                    { href: `#/${name}`, key: name, "aria-current": app.route[0] === name ? "page" : null },
                    title,
                    marks[name] ? h("span", { class: `mark tone-${marks[name]?.[1]}` }, marks[name]?.[0], h("span", { class: "unseen" }, marks[name]?.[2])) : null,
                ),
            ),
        ),
        h("div", { class: "tools" }, liveness(app), theme(app), who(app)),
    );
}

const mark = () =>
    h(
        "svg",
        { class: "brand-mark", viewBox: "0 0 24 24", "aria-hidden": "true" },
        h("path", { d: "M3 4.5h5.5a3.5 3.5 0 0 1 3.5 3.5v12a3 3 0 0 0-3-2.5H3z" }),
        h("path", { d: "M21 4.5h-5.5A3.5 3.5 0 0 0 12 8v12a3 3 0 0 1 3-2.5h6z" }),
    );

/** What is worth a look on which page. @param {App} app @returns {Record<string, [string, string, string] | undefined>} */
function marked(app) {
    if (!app.picture) return {};
    const { topology, policies, run } = app.picture;
    const held = policies.circuits.filter((each) => isBroken(each.state)).length;
    const dead = topology.queue?.dead ?? 0;
    const faults = topology.faults.length;
    return {
        circuits: held ? [count(held), "bad", " not closed"] : undefined,
        queue: dead ? [count(dead), "watch", " dead letters"] : undefined,
        faults: faults ? [count(faults), "watch", " switched on"] : undefined,
        scenarios: run?.state === "running" ? ["1", "accent", " running"] : undefined,
    };
}

/** Whether what one sees is of now. @param {App} app */
function liveness(app) {
    const { line } = app;
    const wait = line.until ? Math.max(0, Math.ceil((line.until - Date.now()) / 1000)) : 0;
    const old = app.picture && (line.state !== "live" || app.stale) ? `stale ${seconds(Math.floor(app.age))}` : "";
    const words = line.state === "live" && !app.stale ? "live" : [old, line.state === "live" ? "" : line.text].filter(Boolean).join(" · ");
    const tone = line.state === "live" && !app.stale ? "well" : line.state === "opening" || line.state === "paused" ? "unknown" : "watch";
    return h("span", { class: "live", key: "live", title: wait ? `tries again in ${wait} s` : null }, badge(tone, words + (wait > 1 ? `, again in ${wait} s` : "")));
}

const THEMES = ["auto", "light", "dark"];

/** @param {App} app */
function theme(app) {
    const now = document.documentElement.dataset.theme ?? "auto";
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] ?? "auto";
    return button(`Theme: ${now}`, () => {
        chooseTheme(next);
        app.update();
    }, { class: "quiet small", key: "theme", title: `Change to ${next}` });
}

/** @param {string | null} name */
export function chooseTheme(name) {
    if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    try {
        localStorage.setItem("theme", name ?? "auto");
    } catch {
        /* a browser that keeps nothing: then it is chosen anew each time */
    }
}

/** @param {App} app */
function who(app) {
    if (!app.session.signed_in) return button("Sign in", () => app.signIn(), { class: "small", key: "who" });
    return h(
        "span",
        { class: "who", key: "out" },
        h("span", { class: "who-name", title: app.session.roles.join(", ") }, app.session.who),
        button("Sign out", async () => {
            await app.act("DELETE", "session", null, "Signed out.");
            await app.know();
        }, { class: "quiet small" }),
    );
}

/** How things are, in words and in figures. @param {App} app */
function now(app) {
    const { tone, headline, why, then } = app.verdict;
    const shown = app.stale ? "unknown" : tone;
    return h(
        "section",
        { class: `now tone-${shown}`, "aria-label": "How things are" },
        h(
            "div",
            { class: "verdict" },
            shape(shown, "large"),
            h(
                "div",
                null,
                h(
                    "p",
                    { class: "headline" },
                    app.stale ? `No news for ${seconds(Math.floor(app.age))}. Last seen: ` : null,
                    why[0] && !app.stale ? h("a", { href: why[0].href }, headline) : headline,
                ),
                facts([...why.slice(1), ...then]),
            ),
        ),
        figures(app),
    );
}

/** @param {Fact[]} told */
function facts(told) {
    if (!told.length) return null;
    return h(
        "ul",
        { class: "facts" },
        told.slice(0, 8).map((fact) => h("li", { key: fact.href + fact.text.replaceAll(/\d/g, "") }, h("a", { href: fact.href, class: `tone-${fact.tone}` }, shape(fact.tone), fact.text))),
        told.length > 8 && h("li", { key: "more" }, `and ${told.length - 8} more`),
    );
}

/** @param {App} app */
function figures(app) {
    const topology = app.picture?.topology;
    const gateway = topology?.services.find((node) => node.service === "gateway");
    const owed = topology?.queue;
    const promise = topology?.promises.filter((each) => each.budget_left !== null).sort((one, other) => (one.budget_left ?? 0) - (other.budget_left ?? 0))[0];
    const left = promise?.budget_left ?? null;
    const errors = gateway?.error_share ?? null;
    return h(
        "dl",
        { class: "figures" },
        figure(app, "Requests", perSecond(gateway?.requests_per_second), "at the front door", "requests"),
        figure(app, "Orders", perSecond(topology?.orders_per_second), "accepted", "orders"),
        figure(app, "Errors", percent(errors), "of the requests at the front door", "errors", errors && errors > 0.02 ? "bad" : "well"),
        figure(app, "p95", millis(gateway?.p95_ms), "95 of 100 requests are answered within", "p95"),
        figure(app, "Waiting", count(owed?.unfinished), owed ? `orders; the oldest for ${seconds(owed.oldest_age_seconds)}` : "orders", "waiting", owed?.parked ? "watch" : "well"),
        figure(app, "Promise left", left !== null && left < 0 ? "used up" : percent(left), promise ? `${promise.says || promise.name}: what may still go wrong` : "of what may go wrong", "", left !== null && left < 0 ? "bad" : left !== null && left < 0.25 ? "watch" : "well"),
        figure(app, "Faults", count(topology?.faults.length), "switched on, on purpose", "", topology?.faults.length ? "watch" : "well"),
    );
}

/** @param {App} app @param {string} name @param {string} value @param {string} says @param {string} drawn @param {string} [tone] */
function figure(app, name, value, says, drawn, tone = "well") {
    const line = drawn ? app.series.columns([drawn])[1] ?? [] : [];
    return h(
        "div",
        { class: `figure tone-${tone}`, key: name, title: `${name}: ${value} ${says}` },
        h("dt", null, name),
        h("dd", null, h("span", { class: "value" }, value), tone !== "well" && shape(tone), line.length > 2 && spark(line.slice(-60), tone)),
    );
}
