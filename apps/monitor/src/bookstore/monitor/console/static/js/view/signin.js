/* Signing in: with an address and a password, or with the ticket that stands in the address of the page. */

/** @import {App} from "../app.js" */

import { h, render } from "../lib/dom.js";
import { send } from "../net/api.js";
import { button } from "./parts.js";

/** What stands after `#ticket=`, taken out of the address at once: it is good for one sign-in. */
export function takeTicket() {
    const [, ticket] = /^#ticket=([A-Za-z0-9._~-]{1,512})$/.exec(location.hash) ?? [];
    if (location.hash.startsWith("#ticket=")) history.replaceState(null, "", `${location.pathname}#/map`);
    return ticket ?? "";
}

/** @param {App} app @param {string} ticket */
export async function useTicket(app, ticket) {
    const session = await app.act("POST", "session", { ticket }, (answer) => `Signed in as ${answer.who}.`);
    if (session) app.session = session;
}

/** @param {App} app */
export function openSignIn(app) {
    if (document.querySelector("dialog.sign-in")) return;
    const element = document.createElement("dialog");
    element.className = "sign-in";
    element.setAttribute("aria-label", "Sign in");
    document.body.append(element);
    let trouble = "";
    let busy = false;

    /** @param {SubmitEvent} event */
    async function submit(event) {
        event.preventDefault();
        const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
        [busy, trouble] = [true, ""];
        draw();
        try {
            app.session = await send("POST", "session", { email: String(form.get("email")), password: String(form.get("password")) });
            element.close();
            app.say(`Signed in as ${app.session.who}.`, "well");
            app.reconnect();
        } catch (error) {
            const refused = /** @type {import("../net/api.js").Refused} */ (error);
            trouble = refused.status === 401 ? "That address and password don’t belong together." : refused.message;
            if (refused.after) trouble += ` Come back in ${refused.after} s.`;
        }
        busy = false;
        draw();
    }

    const draw = () =>
        render(
            element,
            h("h2", null, "Sign in"),
            h("p", null, "Looking on is free where nobody has to log in. Switching needs somebody with the role ops; ", h("code", null, "bookstore console"), " prints a link that signs you in."),
            h(
                "form",
                { on: { submit } },
                h("label", null, "E-mail", h("input", { name: "email", type: "email", autocomplete: "username", required: true, autofocus: true, maxlength: 320 })),
                h("label", null, "Password", h("input", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 1000 })),
                h("p", { class: "trouble tone-bad", role: "alert" }, trouble),
                h("div", { class: "row end" }, button("Not now", () => element.close(), { class: "quiet" }), h("button", { type: "submit", class: "button primary", disabled: busy }, busy ? "Being asked…" : "Sign in")),
            ),
        );

    element.addEventListener("close", () => element.remove());
    draw();
    element.showModal();
}
