/* The stream: kept open while the page is seen, closed while it is hidden, begun anew with growing pauses. */

import { Events } from "../lib/sse.js";
import { address, refusal } from "./api.js";

/** @typedef {{state: "opening" | "live" | "waiting" | "paused" | "refused", text: string, until: number}} Line */

const SILENCE = 15_000;
const SHORTEST = 500;
const LONGEST = 8_000;

/** How long to wait before the next attempt: twice as long each time, a little spread out. @param {number} failures @param {number} chance */
export const pause = (failures, chance) => Math.min(LONGEST, SHORTEST * 2 ** Math.min(failures, 10)) * (0.75 + chance / 2);

/** Reads the stream, for as long as the page lives. */
export class Feed {
    /**
     * @param {(type: string, data: any) => void} tell
     * @param {(line: Line) => void} show
     */
    constructor(tell, show) {
        this.tell = tell;
        this.show = show;
        this.last = "";
        this.failures = 0;
        /** @type {AbortController | null} */
        this.open = null;
        this.timer = 0;
    }

    start() {
        document.addEventListener("visibilitychange", () => this.#look());
        addEventListener("online", () => this.#again());
        this.#look();
    }

    /** Try at once, whatever was waited for: somebody has signed in. */
    #again() {
        this.failures = 0;
        this.stop();
        this.#look();
    }

    again() {
        this.#again();
    }

    stop() {
        clearTimeout(this.timer);
        this.open?.abort();
        this.open = null;
    }

    #look() {
        if (document.hidden) {
            this.stop();
            this.show({ state: "paused", text: "paused while hidden", until: 0 });
        } else if (!this.open) void this.#read();
    }

    async #read() {
        clearTimeout(this.timer);
        const open = (this.open = new AbortController());
        this.show({ state: "opening", text: "connecting", until: 0 });
        let text = "the connection ended";
        let state = /** @type {Line["state"]} */ ("waiting");
        let wait = 0;
        try {
            const response = await fetch(address("events"), {
                headers: { Accept: "text/event-stream", ...(this.last ? { "Last-Event-ID": this.last } : {}) },
                signal: open.signal,
                cache: "no-store",
            });
            if (response.ok && response.body) await this.#take(response.body, open);
            else {
                const refused = await refusal(response);
                [text, state, wait] = [refused.message, "refused", (refused.after ?? 0) * 1000];
                if (refused.status === 401 || refused.status === 403) this.tell("unauthorized", refused);
            }
        } catch {
            text = "the monitor does not answer";
        }
        if (this.open !== open) return;
        open.abort();
        this.open = null;
        wait ||= pause(this.failures++, Math.random());
        this.show({ state, text, until: Date.now() + wait });
        this.timer = window.setTimeout(() => this.#look(), wait);
    }

    /** @param {ReadableStream<Uint8Array>} body @param {AbortController} open */
    async #take(body, open) {
        const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
        const events = new Events();
        for (;;) {
            // A connection that says nothing for long is dead, whatever it claims.
            const silence = setTimeout(() => open.abort(), SILENCE);
            const { value, done } = await reader.read().finally(() => clearTimeout(silence));
            if (done || open.signal.aborted) return;
            for (const event of events.take(String(value))) this.#hear(event);
        }
    }

    /** @param {import("../lib/sse.js").Told} event */
    #hear(event) {
        if (event.id) this.last = event.id;
        let data;
        try {
            data = JSON.parse(event.data);
        } catch {
            return;
        }
        this.failures = 0;
        this.tell(event.type, data);
        if (event.type === "picture") this.show({ state: "live", text: "live", until: 0 });
    }
}
