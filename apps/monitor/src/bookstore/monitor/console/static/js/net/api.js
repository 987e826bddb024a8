/* Questions to the monitor, and its refusals in words. */

/** An answer that is a refusal, or none at all. */
export class Refused extends Error {
    /** @param {string} text @param {number} status @param {string} slug @param {number | null} after seconds to wait */
    constructor(text, status, slug, after) {
        super(text);
        this.status = status;
        this.slug = slug;
        this.after = after;
    }
}

const ROOT = "../v2/monitor";
const PATIENCE = 20_000;

/** @param {string} path */
export const address = (path) => `${ROOT}/${path}`;

/** @param {string} path @param {AbortSignal} [signal] */
export const ask = (path, signal) => send("GET", path, undefined, signal);

/**
 * @param {"GET" | "POST" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function send(method, path, body, signal) {
    const limit = AbortSignal.timeout(PATIENCE);
    let response;
    try {
        response = await fetch(address(path), {
            method,
            headers: method === "POST" ? { "Content-Type": "application/json" } : {},
            body: method === "POST" ? JSON.stringify(body ?? {}) : null,
            signal: signal ? AbortSignal.any([signal, limit]) : limit,
            credentials: "same-origin",
            cache: "no-store",
        });
        if (response.ok) return response.status === 204 ? null : await response.json();
    } catch (error) {
        if (signal?.aborted) throw error;
        throw new Refused(limit.aborted ? "The monitor took too long to answer." : "The monitor does not answer.", 0, "", null);
    }
    throw await refusal(response);
}

/**
 * Something that is asked for again and again: what was told last, and in words what is wrong if nothing is told now.
 * @template T
 */
export class Asked {
    /** @param {string} path @param {() => void} update called after each answer */
    constructor(path, update) {
        this.path = path;
        this.update = update;
        /** @type {T | null} */
        this.told = null;
        this.trouble = "";
        this.asking = false;
        this.again = false;
    }

    /** Ask, unless nobody looks; once more, if the last question was put before something was changed. */
    async look() {
        this.again = this.asking;
        if (this.asking || document.hidden) return;
        this.asking = true;
        try {
            this.told = await ask(this.path);
            this.trouble = "";
        } catch (error) {
            this.trouble = /** @type {Error} */ (error).message;
        }
        this.asking = false;
        this.update();
        if (this.again) await this.look();
    }

    /** Ask now, and then every so many milliseconds. @param {number} pace @returns {() => void} ends it */
    keep(pace) {
        void this.look();
        const timer = setInterval(() => this.asking || void this.look(), pace);
        return () => clearInterval(timer);
    }
}

/** @param {Response} response */
export async function refusal(response) {
    const problem = await response.json().catch(() => ({}));
    const after = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    const slug = String(problem.type ?? "").replace(/^.*:/, "");
    const text = sentence(response.status, String(problem.detail ?? ""));
    return new Refused(text, response.status, slug, Number.isFinite(after) ? after : null);
}

/** @param {number} status @param {string} detail */
function sentence(status, detail) {
    const [most] = {
        401: ["That did not work: sign in first, as somebody who runs the system."],
        429: ["Too many attempts. Wait a little, then try again."],
    }[status] ?? [""];
    if (most) return most;
    if (!detail) return `The monitor answered with status ${status}.`;
    return `${detail.charAt(0).toUpperCase()}${detail.slice(1)}${/[.!?]$/.test(detail) ? "" : "."}`;
}
