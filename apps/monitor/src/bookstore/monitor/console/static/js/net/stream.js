/* The stream: one connection that goes on and on, begun anew with growing pauses. */

import { Events } from "../lib/sse.js";
import { address, refusal } from "./api.js";

/** @typedef {{state: "opening" | "live" | "waiting" | "paused" | "refused", text: string, until: number}} Line */
/** @typedef {{type: string, data: any, id: string}} Told */

const SILENCE = 15_000;
const SHORTEST = 500;
const LONGEST = 8_000;

/** How long to wait before the next attempt: twice as long each time, a little spread out. @param {number} failures @param {number} chance */
export const pause = (failures, chance) => Math.min(LONGEST, SHORTEST * 2 ** Math.min(failures, 10)) * (0.75 + chance / 2);

/** Reads the stream from `start` to `stop`, however often it ends in between. */
export class Stream {
    /**
     * @param {(event: Told) => void} tell
     * @param {(line: Line) => void} show
     */
    constructor(tell, show) {
        this.tell = tell;
        this.show = show;
        /** The last change that was heard of: what came after it is asked for. */
        this.last = "";
        this.failures = 0;
        /** @type {AbortController | null} */
        this.open = null;
        this.timer = 0;
    }

    /** Begin, or try at once, whatever was waited for. */
    start() {
        this.stop();
        this.failures = 0;
        void this.#read();
    }

    stop() {
        clearTimeout(this.timer);
        this.open?.abort();
        this.open = null;
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
                if (refused.status === 401 || refused.status === 403) this.tell({ type: "unauthorized", data: text, id: "" });
            }
        } catch {
            text = "the monitor does not answer";
        }
        if (this.open !== open) return;
        open.abort();
        this.open = null;
        wait ||= pause(this.failures++, Math.random());
        this.show({ state, text, until: Date.now() + wait });
        this.timer = window.setTimeout(() => void this.#read(), wait);
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
    #hear({ type, data: text, id }) {
        if (id) this.last = id;
        let data;
        try {
            data = JSON.parse(text);
        } catch {
            return;
        }
        this.failures = 0;
        this.tell({ type, data, id });
        if (type === "picture") this.show({ state: "live", text: "live", until: 0 });
    }
}
