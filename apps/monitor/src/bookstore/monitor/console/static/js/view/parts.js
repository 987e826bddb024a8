/* Small things that many pages show. */

/** @import {Tree} from "../../../types" */

import { h, render } from "../lib/dom.js";
import { circuitState } from "../model/circuits.js";
import { stateOf } from "../model/map.js";

/** Shapes that tell the tones apart without their colours. @type {Record<string, string>} */
const SHAPES = {
    well: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z",
    watch: "M8 2L14.5 13.5H1.5z",
    bad: "M5 1.5h6L14.5 5v6L11 14.5H5L1.5 11V5z",
    unknown: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zm0 2.2a3.8 3.8 0 1 1 0 7.6a3.8 3.8 0 1 1 0-7.6z",
    busy: "M8 2a6 6 0 1 0 0 12zM8 2v12",
};

/** @type {Record<string, string>} */
const INNER = { well: "M5.2 8.2l2 2 3.8-4.2", watch: "M8 6v3.4M8 11.2v.6", bad: "M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6" };

/** A shape for a tone; a word always stands beside it. @param {string} tone @param {string} [extra] */
export const shape = (tone, extra = "") =>
    h(
        "svg",
        { class: `shape tone-${tone} ${extra}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
        h("path", { class: "shape-fill", d: SHAPES[tone] ?? SHAPES.unknown }),
        INNER[tone] && h("path", { class: "shape-mark", d: INNER[tone] }),
    );

/** @param {string} tone @param {string} word @param {string} [title] */
export const badge = (tone, word, title) => h("span", { class: `badge tone-${tone}`, title }, shape(tone), word);

/** @param {string | null} status */
export const stateBadge = (status) => badge(stateOf(status).tone, stateOf(status).word);

/** A switch, closed or open: the shape of a circuit. @param {string | null} state @param {string} [extra] */
export const breaker = (state, extra = "") => {
    const held = state === "open" || state === "forced_open";
    const arm = held ? "M4.5 8L11 3.2" : state === "half_open" ? "M4.5 8L11.4 6" : "M4.5 8H11.5";
    return h(
        "svg",
        { class: `breaker ${extra}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
        h("path", { d: `M0 8H3M13 8H16${arm}` }),
        h("circle", { cx: 4, cy: 8, r: 1.7 }),
        h("circle", { cx: 12, cy: 8, r: 1.7 }),
        state === "forced_open" && h("path", { d: "M5 13.5H11" }),
    );
};

/** @param {string | null} state */
export const circuitBadge = (state) =>
    h("span", { class: `badge tone-${circuitState(state).tone}`, title: circuitState(state).says }, breaker(state), circuitState(state).word);

/** @param {string} title @param {...Tree} rest */
export const panel = (title, ...rest) => h("section", { class: "panel", key: title, "aria-label": title }, h("h2", null, title), rest);

/** @param {string} text @param {...Tree} rest */
export const empty = (text, ...rest) => h("p", { class: "empty" }, text, rest);

/**
 * A button that says what it will do.
 * @param {string} text @param {() => unknown} click @param {Record<string, any>} [attrs]
 */
export const button = (text, click, attrs = {}) =>
    h("button", { type: "button", key: text, ...attrs, class: `button ${attrs.class ?? ""}`, on: { click } }, text);

/** @typedef {{head: string, number?: boolean, cell: (row: any) => Tree}} Column */

/**
 * A table: columns with heads, rows with keys. On a narrow page each row becomes a card with the heads beside the values.
 * @param {string} caption
 * @param {Column[]} columns
 * @param {any[]} rows @param {(row: any) => string} key
 */
export function table(caption, columns, rows, key) {
    const cells = (/** @type {any} */ row) =>
        columns.map(({ head, number, cell }, index) =>
            h(index ? "td" : "th", { class: number ? "number" : null, scope: index ? null : "row", "data-head": head }, cell(row)),
        );
    return h(
        "table",
        { key: caption },
        h("caption", { class: "unseen" }, caption),
        h(
            "thead",
            null,
            h("tr", null, columns.map(({ head, number }) => h("th", { scope: "col", class: number ? "number" : null }, head))),
        ),
        h("tbody", null, rows.map((row) => h("tr", { key: key(row) }, cells(row)))),
    );
}

/** A term and what it is. @param {string} term @param {Tree} told @param {string} [title] */
export const entry = (term, told, title) => [h("dt", { title }, term), h("dd", null, told)];

/**
 * A dialog on top of the page; it closes with Escape, and focus goes back to where it was.
 * @param {string} title
 * @param {(close: (answer?: any) => void) => Tree} content
 * @returns {Promise<any>} what it was closed with
 */
export function dialog(title, content) {
    const element = document.createElement("dialog");
    element.setAttribute("aria-label", title);
    document.body.append(element);
    return new Promise((resolve) => {
        /** @type {any} */
        let answer;
        const close = (/** @type {any} */ given) => {
            answer = given;
            element.close();
        };
        element.addEventListener("close", () => {
            element.remove();
            resolve(answer);
        });
        render(element, h("h2", null, title), content(close));
        element.showModal();
    });
}

/** Ask before something is destroyed. @param {string} title @param {string} text @param {string} yes @returns {Promise<boolean>} */
export const confirm = (title, text, yes) =>
    dialog(title, (close) => [
        h("p", null, text),
        h(
            "div",
            { class: "row end" },
            button("Leave it", () => close(false), { class: "quiet", autofocus: true }),
            button(yes, () => close(true), { class: "danger" }),
        ),
    ]).then(Boolean);

/** Said where somebody may look but not switch. @param {import("../app.js").App} app @param {string} what */
export const needsSignIn = (app, what) =>
    h(
        "p",
        { class: "hint", key: "hint" },
        `To ${what}, sign in as somebody who runs the system. `,
        button("Sign in", () => app.signIn(), { class: "link" }),
    );

/** A line through some values, without axes. @param {(number | null)[]} values @param {string} tone */
export function spark(values, tone) {
    const known = /** @type {number[]} */ (values.filter((value) => value !== null));
    const most = Math.max(...known, 1e-9);
    const step = 64 / Math.max(values.length - 1, 1);
    let pen = "M";
    const path = values
        .map((value, index) => {
            if (value === null) {
                pen = "M";
                return "";
            }
            const point = `${pen}${(index * step).toFixed(1)} ${(17 - (15 * value) / most).toFixed(1)}`;
            pen = "L";
            return point;
        })
        .join("");
    return h("svg", { class: `spark tone-${tone}`, viewBox: "0 0 64 18", "aria-hidden": "true", preserveAspectRatio: "none" }, h("path", { d: path }));
}
