/* The page put together: who is signed in, the stream, which page is shown, and when it is drawn. */

import { App } from "./app.js";
import { render } from "./lib/dom.js";
import { Feed } from "./net/feed.js";
import { circuitsPage } from "./view/circuits.js";
import { faultsPage } from "./view/faults.js";
import { mapPage } from "./view/map.js";
import { queuePage } from "./view/queue.js";
import { reportsPage } from "./view/reports.js";
import { requestsPage } from "./view/requests.js";
import { scenariosPage } from "./view/scenarios.js";
import { chooseTheme, shell } from "./view/shell.js";
import { openSignIn, takeTicket, useTicket } from "./view/signin.js";
import { tryPage } from "./view/try.js";

/** @typedef {{view: () => import("../../types").Tree, enter?: () => () => void}} Page */

/** @type {Record<string, (app: App, route: {query: URLSearchParams}) => Page>} */
const PAGES = {
    map: mapPage,
    circuits: circuitsPage,
    queue: queuePage,
    faults: faultsPage,
    requests: requestsPage,
    try: tryPage,
    scenarios: scenariosPage,
    reports: reportsPage,
};

const app = new App();
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const heard = /** @type {HTMLElement} */ (document.getElementById("said"));

/** @type {Page | null} */
let page = null;
let leave = () => {};
let shown = "";
let waiting = false;
/** Where the page that is shown stands in the row of pages, from the left. */
let stood = 0;
let said = "";

function draw() {
    waiting = false;
    render(root, shell(app, page?.view()));
    keepInSight();
    say();
}

/** In a narrow window the row of pages is cut off; what stands before the page's name grows and shrinks with the news. */
function keepInSight() {
    const current = /** @type {HTMLElement | null} */ (document.querySelector(".top [aria-current]"));
    if (!current || current.offsetLeft === stood) return;
    stood = current.offsetLeft;
    current.scrollIntoView({ block: "nearest", inline: "center" });
}

app.update = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
};

/** Tell those who listen when it gets better or worse: not each time a number moves. */
function say() {
    if (!app.picture) return;
    const { headline, why } = app.verdict;
    const text = app.stale ? "The monitor has not been heard for some seconds." : why.length ? why.map((fact) => fact.text).join("; ") : headline;
    const gist = text.replaceAll(/\d/g, "");
    if (gist !== said) heard.textContent = text;
    said = gist;
}

function go() {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const route = path.split("/").map(decoded).filter(Boolean);
    const name = route[0] && Object.hasOwn(PAGES, route[0]) ? route[0] : "map";
    app.route = [name, ...route.slice(1)];
    if (name + query !== shown) {
        leave();
        shown = name + query;
        page = PAGES[name]?.(app, { query: new URLSearchParams(query) }) ?? null;
        leave = page?.enter?.() ?? (() => {});
        document.title = `${name.charAt(0).toUpperCase()}${name.slice(1)} · Bookstore console`;
    }
    app.update();
}

/** @param {string} part */
function decoded(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

try {
    chooseTheme(localStorage.getItem("theme"));
} catch {
    /* see chooseTheme */
}

const ticket = takeTicket();
const feed = new Feed(
    (type, data) => {
        app.hear(type, data);
        if (type === "unauthorized" && app.asked) openSignIn(app);
    },
    (line) => {
        // A monitor that was away may be another one by now, which knows of no session.
        if (line.state === "live" && app.line.state !== "live" && app.asked) void app.know();
        app.line = line;
        app.update();
    },
);
app.signIn = () => openSignIn(app);
app.reconnect = () => {
    feed.again();
    void app.remember();
};

addEventListener("hashchange", () => {
    const again = takeTicket();
    if (again) void useTicket(app, again).then(() => app.reconnect());
    go();
});
setInterval(() => document.hidden || app.update(), 1000);
go();
if (ticket) await useTicket(app, ticket);
await app.know();
feed.start();
if (app.session.may_read) void app.remember();
else openSignIn(app);
