/* Numbers, times and names as people read them. What isn't known is a dash. */

const DASH = "–";

/** @param {number | null | undefined} value @returns {value is number} */
const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A count: 1,234. @param {number | null | undefined} value */
export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : DASH);

/** One of several: 1 order, 2 orders. @param {number} value @param {string} one @param {string} [many] */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** A rate: 5.9, 120. @param {number | null | undefined} value */
export function rate(value) {
    if (!known(value)) return DASH;
    return value >= 100 ? count(value) : value === 0 ? "0" : value.toFixed(1);
}

/** The same with its unit: 5.9/s. @param {number | null | undefined} value */
export const perSecond = (value) => (known(value) ? `${rate(value)}/s` : DASH);

/** A length of time given in milliseconds: 0.4 ms, 23 ms, 1.24 s, 2 min 5 s. @param {number | null | undefined} value */
export function millis(value) {
    if (!known(value)) return DASH;
    if (value < 10) return `${value.toFixed(1)} ms`;
    if (value < 1000) return `${Math.round(value)} ms`;
    if (value < 10_000) return `${(value / 1000).toFixed(2)} s`;
    return seconds(value / 1000);
}

/** A length of time given in seconds: 4.2 s, 42 s, 3 min 5 s, 2 h 10 min. @param {number | null | undefined} value */
export function seconds(value) {
    if (!known(value)) return DASH;
    if (value < 10) return `${Number(value.toFixed(1))} s`;
    const whole = Math.round(value);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return pair(whole, 60, "min", "s");
    return pair(Math.round(whole / 60), 60, "h", "min");
}

/** @param {number} whole @param {number} base @param {string} big @param {string} small */
function pair(whole, base, big, small) {
    const rest = whole % base;
    return `${Math.floor(whole / base)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
}

/** What a countdown shows: 0:42, 9:05. @param {number} value */
export function clock(value) {
    const whole = Math.max(0, Math.ceil(value));
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A share in percent; never 100 % of what isn't whole, never 0 % of something. @param {number | null | undefined} value */
export function percent(value) {
    if (!known(value)) return DASH;
    const hundred = value * 100;
    if (hundred > 99.9 && hundred < 100) return "99.9 %";
    if (hundred > 0 && hundred < 0.1) return "0.1 %";
    return `${Number(hundred.toFixed(Math.abs(hundred) < 10 || hundred > 99 ? 1 : 0))} %`;
}

/** Bytes: 812 B, 24 kB, 1.5 MB. @param {number | null | undefined} value */
export function bytes(value) {
    if (!known(value)) return DASH;
    if (value < 1000) return `${value} B`;
    return value < 1e6 ? `${Math.round(value / 1000)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

/** The time of day, 14:02:05, as the reader's clock has it. @param {string | null | undefined} iso */
export function time(iso) {
    const date = new Date(iso ?? "");
    return Number.isNaN(date.getTime()) ? DASH : date.toLocaleTimeString("en-GB");
}

/** The time of day without seconds, for sentences. @param {string | null | undefined} iso */
export const shortTime = (iso) => time(iso).slice(0, 5);

/** Day and time. @param {string | null | undefined} iso */
export function day(iso) {
    const date = new Date(iso ?? "");
    if (Number.isNaN(date.getTime())) return DASH;
    return `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB").slice(0, 5)}`;
}

/** Not longer than that. @param {string} text @param {number} most */
export const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** A name as words: accept_then_reset, force-open. @param {string} name */
export const words = (name) => name.replaceAll(/[_-]/g, " ");

/** A, b and c. @param {string[]} names */
export function list(names) {
    return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
