/* What the page knows, and how views hear of it. Views read it and change nothing; pages change it by its methods. */

/** @import {Picture, Change, Session, TraceSummary} from "../../types" */
/** @import {Line} from "./net/stream.js" */

import { ask, send } from "./net/api.js";
import { Series } from "./model/series.js";
import { verdict } from "./model/verdict.js";

/** Seconds without a picture after which what is seen is old. */
export const FRESH = 3;
const CHANGES = 100;
const TRACES = 300;

/** @type {Session} */
const NOBODY = {
    signed_in: false,
    who: null,
    roles: [],
    expires_at: null,
    may_read: true,
    may_switch: false,
    faults_allowed: false,
    lab_available: false,
    jaeger_url: null,
};

/** @typedef {{id: number, text: string, tone: string}} Note */

export class App {
    constructor() {
        this.session = NOBODY;
        /** Whether the session is known by now. */
        this.asked = false;
        /** @type {Picture | null} */
        this.picture = null;
        /** When the picture came, by this page's own clock that never jumps. */
        this.heardAt = 0;
        /** By how much the monitor's clock is ahead of the reader's, in milliseconds. */
        this.ahead = 0;
        /** @type {Line} */
        this.line = { state: "opening", text: "connecting", until: 0 };
        this.series = new Series();
        /** @type {Change[]} */
        this.changes = [];
        this.missed = 0;
        /** Newest first. @type {TraceSummary[]} */
        this.traces = [];
        /** @type {Note[]} */
        this.notes = [];
        /** @type {string[]} */
        this.route = ["map"];
        /** Called after every change. @type {() => void} */
        this.update = () => {};
        /** Opens the dialog to sign in. @type {() => void} */
        this.signIn = () => {};
        this.reconnect = () => {};
    }

    /** How old what is seen is, in seconds. */
    get age() {
        return this.picture ? (performance.now() - this.heardAt) / 1000 : Infinity;
    }

    get stale() {
        return this.picture !== null && this.age > FRESH;
    }

    /** The time of the monitor, in milliseconds. */
    get now() {
        return Date.now() + this.ahead;
    }

    get verdict() {
        if (!this.picture) return { tone: /** @type {const} */ ("unknown"), headline: "Nothing is known yet.", why: [], then: [] };
        return verdict(this.picture);
    }

    /** @param {string} type @param {any} data */
    hear(type, data) {
        if (type === "picture") {
            this.picture = data;
            this.heardAt = performance.now();
            this.ahead = Date.parse(data.topology.at) - Date.now();
            this.series.add(data);
        } else if (type === "change") {
            if (!this.changes.some((each) => each.id === data.id)) this.changes = [data, ...this.changes].slice(0, CHANGES);
        } else if (type === "missed") this.missed += data;
        else if (type === "traces") this.take(data);
        else if (type === "unauthorized") {
            this.session = { ...this.session, may_read: false, may_switch: false, signed_in: false };
        }
        this.update();
    }

    /** Take summaries of traces: what is known already is replaced, for a trace grows. @param {TraceSummary[]} found */
    take(found) {
        const known = new Map(this.traces.map((each) => [each.trace_id, each]));
        for (const each of found) known.set(each.trace_id, each);
        this.traces = [...known.values()].sort((one, other) => (one.started_at < other.started_at ? 1 : -1)).slice(0, TRACES);
    }

    async know() {
        try {
            this.session = await ask("session");
        } catch {
            this.session = { ...NOBODY, may_read: this.picture !== null };
        }
        this.asked = true;
        this.update();
    }

    /** What was there before the page was. */
    async remember() {
        const told = await Promise.allSettled([ask("history?limit=60"), ask("traces?limit=100")]);
        const [history, traces] = told.map((each) => (each.status === "fulfilled" ? each.value.data : []));
        for (const each of [...history].reverse()) this.hear("change", each);
        this.take(traces);
        this.update();
    }

    /**
     * Switch something, and say how it went.
     * @param {"POST" | "DELETE"} method @param {string} path @param {unknown} body
     * @param {string | ((answer: any) => string)} done
     * @returns {Promise<any>} the answer; undefined if it was refused
     */
    async act(method, path, body, done) {
        try {
            const answer = await send(method, path, body);
            this.say(typeof done === "string" ? done : done(answer), "well");
            return answer ?? null;
        } catch (error) {
            this.say(/** @type {Error} */ (error).message, "bad");
            if (/** @type {any} */ (error).status === 401) {
                await this.know();
                this.signIn();
            }
            return undefined;
        }
    }

    /** A note at the edge of the page, for some seconds. @param {string} text @param {string} tone */
    say(text, tone) {
        if (!text) return;
        const note = { id: performance.now() + Math.random(), text, tone };
        this.notes = [...this.notes.slice(-3), note];
        setTimeout(() => this.drop(note.id), tone === "bad" ? 12_000 : 6_000);
        this.update();
    }

    /** @param {number} id */
    drop(id) {
        this.notes = this.notes.filter((note) => note.id !== id);
        this.update();
    }
}
