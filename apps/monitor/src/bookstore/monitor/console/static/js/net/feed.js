/* What all tabs of a browser hear, through one stream: each would hold one of the six connections that a browser has for
 * a host. The tab that holds a lock reads, and tells the others. The lock is the browser's, which gives it to the next
 * one as soon as that tab is hidden, closed or dead. Where there are no locks (http from another host) each tab reads. */

import { address } from "./api.js";
import { Stream } from "./stream.js";

/** @typedef {import("./stream.js").Line} Line */
/** @typedef {import("./stream.js").Told} Told */
/** What tabs tell each other: news, how the stream is, or what they would like. @typedef {{event?: Told, line?: Line, wish?: "news" | "again"}} Word */

const BEAT = 500;
/** Milliseconds without a word after which who reads is taken for frozen. */
const SILENCE = 3000;

/** Hears the news while its page is seen. */
export class Feed {
    /**
     * @param {(type: string, data: any) => void} tell
     * @param {(line: Line) => void} show
     */
    constructor(tell, show) {
        this.tell = tell;
        this.show = show;
        this.stream = new Stream((event) => this.#pass({ event }), (line) => this.#pass({ line }));
        /** The same for all tabs that read the same stream. */
        this.name = new URL(address("events"), location.href).href;
        this.others = navigator.locks ? new BroadcastChannel(this.name) : null;
        /** Aborted when the page is hidden, or has lost the lock. @type {AbortController | null} */
        this.seen = null;
        this.reads = false;
        /** What a tab that comes later is told at once. @type {{event?: Told, line?: Line}} */
        this.newest = {};
        this.heardAt = 0;
        /** Not all tabs lose patience at once. */
        this.patience = SILENCE + 1000 * Math.random();
    }

    start() {
        document.addEventListener("visibilitychange", () => this.#look());
        addEventListener("online", () => this.again());
        this.others?.addEventListener("message", ({ data }) => this.#hear(data));
        setInterval(() => this.#beat(), BEAT);
        this.#look();
    }

    /** Try at once, whatever was waited for: somebody has signed in. */
    again() {
        if (this.reads) this.stream.start();
        else this.#say({ wish: "again" });
    }

    #look() {
        if (document.hidden) {
            this.#leave();
            this.show({ state: "paused", text: "paused while hidden", until: 0 });
        } else if (!this.seen) this.#join({});
    }

    /** Ask for the lock, and listen until it is ours. @param {LockOptions} how */
    #join(how) {
        const seen = (this.seen = new AbortController());
        this.heardAt = performance.now();
        this.newest = { event: this.newest.event };
        this.show({ state: "opening", text: "connecting", until: 0 });
        this.#say({ wish: "news" });
        if (!this.others) return void this.#read(seen.signal);
        const asked = navigator.locks.request(this.name, how.steal ? how : { signal: seen.signal }, () => this.#read(seen.signal));
        asked.catch((error) => {
            if (this.seen !== seen) return;
            this.#leave();
            // Another tab has taken the lock, because nothing was heard from here. Else there are no locks to be had.
            if (error.name !== "AbortError") this.others = null;
            this.#look();
        });
    }

    /** Read, and hold the lock, until the signal comes. @param {AbortSignal} until */
    async #read(until) {
        if (until.aborted) return;
        this.reads = true;
        this.stream.start();
        await new Promise((resolve) => until.addEventListener("abort", resolve));
    }

    #leave() {
        this.reads = false;
        this.stream.stop();
        this.seen?.abort();
        this.seen = null;
    }

    /** Others hear that who reads is alive; and take its place if it isn't. */
    #beat() {
        if (this.reads) this.#say({ line: this.newest.line });
        else if (this.others && this.seen && performance.now() - this.heardAt > this.patience) {
            this.#leave();
            this.#join({ steal: true });
        }
    }

    /** What was read goes to all. @param {Word} word */
    #pass(word) {
        this.#take(word);
        this.#say(word);
    }

    /** @param {Word} word */
    #say(word) {
        this.others?.postMessage(word);
    }

    /** What another tab says. @param {Word} word */
    #hear(word) {
        if (this.reads && word.wish === "again") this.stream.start();
        else if (this.reads && word.wish) this.#say(this.newest);
        else if (!this.reads && this.seen && !word.wish) {
            this.heardAt = performance.now();
            this.#take(word);
        }
    }

    /** @param {Word} word */
    #take({ event, line }) {
        if (event?.id) this.stream.last = event.id;
        if (event?.type === "picture") this.newest.event = event;
        if (event) this.tell(event.type, event.data);
        if (!line || (line.text === this.newest.line?.text && line.until === this.newest.line.until)) return;
        this.newest.line = line;
        this.show(line);
    }
}
