/* A chart of the last five minutes, by uPlot, which is fetched when the first chart is shown. */

/** @import {App} from "../app.js" */

import { h } from "../lib/dom.js";
import { FIGURES, KEPT } from "../model/series.js";

/** @type {Promise<any> | null} */
let loading = null;

function library() {
    loading ??= new Promise((resolve, reject) => {
        const sheet = document.createElement("link");
        [sheet.rel, sheet.href] = ["stylesheet", "vendor/uPlot.min.css"];
        const script = document.createElement("script");
        script.src = "vendor/uPlot.iife.min.js";
        script.addEventListener("load", () => resolve(/** @type {any} */ (globalThis).uPlot));
        script.addEventListener("error", () => reject(new Error("uPlot is missing")));
        document.head.append(sheet, script);
    });
    return loading;
}

/** Strokes and dashes: told apart without colours too. */
const LOOKS = [
    { colour: "--accent", dash: [] },
    { colour: "--watch", dash: [6, 3] },
    { colour: "--bad", dash: [2, 3] },
];

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A colour that follows the theme, as a canvas needs it. @param {Element} host @param {string} name */
function resolved(host, name) {
    const probe = /** @type {HTMLElement} */ (host.querySelector(`.ink${name}`));
    return probe ? getComputedStyle(probe).color : colour(name);
}

/** @param {App} app @param {string} title @param {string[]} names */
export function chart(app, title, names) {
    return h(
        "figure",
        { class: "panel chart", key: title },
        h(
            "figcaption",
            null,
            h("h2", null, title),
            h("span", { class: "keys" }, names.map((name, index) => h("span", { key: name }, h("svg", { viewBox: "0 0 20 6", class: `key ink${LOOKS[index]?.colour}`, "aria-hidden": "true" }, h("path", { d: "M0 3H20", "stroke-dasharray": LOOKS[index]?.dash.join(" ") || null })), latest(app, name)))),
        ),
        h("div", { class: "plot", made: (/** @type {HTMLElement} */ host) => void grow(app, host, names), role: "img", "aria-label": `${title}, the last five minutes` }),
    );
}

/** @param {App} app @param {string} name */
function latest(app, name) {
    const unit = FIGURES.find((figure) => figure.name === name)?.unit ?? "";
    const value = app.series.columns([name])[1]?.at(-1) ?? null;
    if (value === null) return `${name} –`;
    return `${name} ${Number(value.toFixed(1))}${unit.startsWith("/") ? "" : " "}${unit}`.trim();
}

/** Make it when it is seen, and feed it for as long as it is there. @param {App} app @param {HTMLElement} host @param {string[]} names */
async function grow(app, host, names) {
    const UPlot = await library().catch(() => null);
    if (!UPlot) {
        host.textContent = "The chart could not be loaded.";
        return;
    }
    /** @type {any} */
    let plot = null;
    let look = "";
    const draw = () => {
        if (!host.isConnected) {
            plot?.destroy();
            clearInterval(timer);
            watch.disconnect();
            return;
        }
        const now = `${document.documentElement.dataset.theme} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
        if (plot && now !== look) {
            plot.destroy();
            plot = null;
        }
        look = now;
        plot ??= made(UPlot, app, host, names);
        plot.setData(app.series.columns(names));
    };
    const watch = new ResizeObserver(() => plot?.setSize({ width: Math.max(host.clientWidth, 120), height: 150 }));
    const timer = setInterval(() => document.hidden || draw(), 1000);
    draw();
    watch.observe(host);
}

/** @param {any} UPlot @param {App} app @param {HTMLElement} host @param {string[]} names */
function made(UPlot, app, host, names) {
    for (const name of ["--accent", "--watch", "--bad", "--ink-2", "--line"]) {
        if (!host.querySelector(`.ink${name}`)) {
            const probe = document.createElement("i");
            probe.className = `ink${name}`;
            host.append(probe);
        }
    }
    const axis = { stroke: resolved(host, "--ink-2"), grid: { stroke: resolved(host, "--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return new UPlot(
        {
            width: Math.max(host.clientWidth, 120),
            height: 150,
            legend: { show: false },
            cursor: { y: false, sync: { key: "console" } },
            scales: {
                x: { range: () => [(app.now / 1000) - KEPT, app.now / 1000] },
                y: { range: (/** @type {any} */ _plot, /** @type {number} */ _least, /** @type {number} */ most) => [0, Math.max(most * 1.15, 1)] },
            },
            axes: [{ ...axis, size: 26, space: 70, values: (/** @type {any} */ _plot, /** @type {number[]} */ at) => at.map(hour) }, { ...axis, size: 40, space: 30 }],
            series: [{}, ...names.map((name, index) => ({ label: name, stroke: resolved(host, LOOKS[index]?.colour ?? "--accent"), width: 1.75, dash: LOOKS[index]?.dash, points: { show: false } }))],
            hooks: { drawClear: [(/** @type {any} */ plot) => shade(app, plot, resolved(host, "--watch"))] },
        },
        app.series.columns(names),
        host,
    );
}

/** @param {number} at */
const hour = (at) => new Date(at * 1000).toLocaleTimeString("en-GB").slice(0, at % 60 ? 8 : 5);

/** The time during which a fault was switched on. @param {App} app @param {any} plot @param {string} ink */
function shade(app, plot, ink) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = ink;
    ctx.globalAlpha = 0.14;
    for (const { from, to } of app.series.windows) {
        const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
        const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
        if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
}
