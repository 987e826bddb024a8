/* Words and shapes for the states of a circuit. */

/** @type {Record<string, {word: string, tone: "well" | "watch" | "bad" | "unknown", says: string}>} */
const STATES = {
    closed: { word: "closed", tone: "well", says: "Calls go through." },
    half_open: { word: "half-open", tone: "watch", says: "A few calls are let through, to see whether it is well again." },
    open: { word: "open", tone: "bad", says: "Calls are refused at once, to spare both sides." },
    forced_open: { word: "forced open", tone: "bad", says: "Somebody has opened it; it stays open until it is reset." },
    disabled: { word: "disabled", tone: "unknown", says: "It lets everything through and counts nothing." },
    metrics_only: { word: "counts only", tone: "unknown", says: "It counts, and lets everything through." },
};

const UNKNOWN = { word: "unknown", tone: /** @type {const} */ ("unknown"), says: "Nothing is known of it." };

/** @param {string | null} state */
export const circuitState = (state) => (state && Object.hasOwn(STATES, state) ? STATES[state] : UNKNOWN) ?? UNKNOWN;

/** @param {string | null} state */
export const circuitWord = (state) => circuitState(state).word;

/** Whether it holds anything back. @param {string | null} state */
export const isBroken = (state) => state === "open" || state === "forced_open" || state === "half_open";

const ORDER = ["forced_open", "open", "half_open", "disabled", "metrics_only", "closed"];

/** For sorting: the worst first. @param {string | null} state */
export const rank = (state) => (state && ORDER.includes(state) ? ORDER.indexOf(state) : ORDER.length);
