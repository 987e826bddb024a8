/* A trace as rows: who called whom, when, for how long, and where it only waited. */

/** @import {Trace, TraceSpan} from "../../../types" */

/** A wait shorter than this share of the whole, or than so many milliseconds, is not worth a row. */
const WORTH = 0.15;
const LEAST_MS = 50;

/** @typedef {{kind: "span", span: TraceSpan, depth: number, folds: number, from: number, to: number}} SpanRow */
/** @typedef {{kind: "wait", key: string, depth: number, from: number, to: number, text: string}} WaitRow */
/** @typedef {SpanRow | WaitRow} Row */

/**
 * The rows of a trace: a span under the one that caused it, in the order of time. Spans whose parent is missing, or
 * that would be their own ancestors, stand at the top.
 * @param {Trace} trace
 * @param {Set<string>} [folded] spans whose children are left out
 * @returns {Row[]}
 */
export function rows(trace, folded = new Set()) {
    const known = new Map(trace.spans.map((span) => [span.span_id, span]));
    /** @type {Map<string, TraceSpan[]>} */
    const children = new Map();
    for (const span of known.values()) {
        const parent = known.has(span.parent_id) && !isCircle(span, known) ? span.parent_id : "";
        children.set(parent, [...(children.get(parent) ?? []), span]);
    }
    /** @type {Row[]} */
    const found = [];
    // A stack, not a recursion: a trace may be as deep as it is long.
    const waiting = [...(children.get("") ?? [])].reverse().map((span) => ({ span, depth: 0 }));
    for (let next = waiting.pop(); next; next = waiting.pop()) {
        const { span, depth } = next;
        const below = children.get(span.span_id) ?? [];
        const from = finite(span.offset_ms);
        found.push({ kind: "span", span, depth, folds: below.length, from, to: from + finite(span.duration_ms) });
        if (!folded.has(span.span_id)) {
            for (const child of [...below].reverse()) waiting.push({ span: child, depth: depth + 1 });
        }
    }
    return withWaits(found, finite(trace.summary.duration_ms));
}

/** @param {number} value */
const finite = (value) => (Number.isFinite(value) && value > 0 ? value : 0);

/** @param {TraceSpan} span @param {Map<string, TraceSpan>} known */
function isCircle(span, known) {
    const seen = new Set([span.span_id]);
    for (let up = known.get(span.parent_id); up; up = known.get(up.parent_id)) {
        if (seen.has(up.span_id)) return true;
        seen.add(up.span_id);
    }
    return false;
}

/** Puts a row where nothing at all went on for long: an order that waits in the queue. @param {Row[]} found @param {number} whole */
function withWaits(found, whole) {
    const spans = /** @type {SpanRow[]} */ ([...found]).sort((one, other) => one.from - other.from);
    let end = 0;
    for (const row of spans) {
        const wait = row.from - end;
        if (wait > LEAST_MS && wait > whole * WORTH) {
            const place = found.indexOf(row);
            const text = isQueued(row.span) ? "waits in the queue" : "nothing happens";
            found.splice(place, 0, { kind: "wait", key: `wait-${row.span.span_id}`, depth: row.depth, from: end, to: row.from, text });
        }
        end = Math.max(end, row.to);
    }
    return found;
}

/** @param {TraceSpan} span */
const isQueued = (span) => span.kind === "CONSUMER" || "messaging.system" in span.attributes;

/** Round figures for a time axis: at most about so many. @param {number} whole milliseconds @param {number} [most] */
export function ticks(whole, most = 5) {
    if (!(whole > 0)) return [0];
    const rough = whole / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
    const found = [];
    for (let at = 0; at <= whole * 1.0001 && found.length < 20; at += step) found.push(at);
    return found;
}

/** A line of what happened in a span, for people. @param {{name: string, attributes: Record<string, string>}} event */
export function eventText(event) {
    const told = Object.entries(event.attributes).map(([key, value]) => `${key.replace(/^.*\./, "")}=${value}`);
    return [event.name, ...told].join("  ");
}

/** What went wrong in a span, if it says so. @param {TraceSpan} span */
export function errorOf(span) {
    const status = span.attributes["http.response.status_code"];
    return span.attributes["error.type"] ?? (span.error && status ? `status ${status}` : span.error ? "failed" : "");
}
