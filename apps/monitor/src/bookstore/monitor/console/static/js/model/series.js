/* The last minutes of a few figures, for the charts: a ring that never grows beyond its end. */

/** @import {Picture} from "../../../types" */

export const KEPT = 300;
/** Seconds between two points beyond which the line is broken: nobody knows what was in between. */
const GAP = 4;

/** @typedef {{at: number, values: (number | null)[]}} Point */

/** The figures that are drawn, each by how it is read off a picture. @type {{name: string, unit: string, read: (picture: Picture) => number | null}[]} */
export const FIGURES = [
    { name: "requests", unit: "/s", read: (picture) => gateway(picture)?.requests_per_second ?? null },
    { name: "orders", unit: "/s", read: (picture) => picture.topology.orders_per_second },
    { name: "errors", unit: "/s", read: errors },
    { name: "waiting", unit: "", read: (picture) => picture.topology.queue?.unfinished ?? null },
    { name: "parked", unit: "", read: (picture) => picture.topology.queue?.parked ?? null },
    { name: "p95", unit: "ms", read: (picture) => gateway(picture)?.p95_ms ?? null },
];

/** @param {Picture} picture */
const gateway = (picture) => picture.topology.services.find((node) => node.service === "gateway");

/** @param {Picture} picture */
function errors(picture) {
    const door = gateway(picture);
    if (!door || door.requests_per_second === null) return null;
    return door.requests_per_second * (door.error_share ?? 0);
}

/** Keeps the points of the last minutes, and where faults began and ended. */
export class Series {
    constructor() {
        /** @type {Point[]} */
        this.points = [];
        /** @type {{from: number, to: number, name: string}[]} */
        this.windows = [];
    }

    /** @param {Picture} picture */
    add(picture) {
        const at = Date.parse(picture.topology.at) / 1000;
        const last = this.points.at(-1);
        if (!Number.isFinite(at) || (last && at <= last.at)) return;
        if (last && at - last.at > GAP) this.points.push({ at: at - 0.5, values: FIGURES.map(() => null) });
        this.points.push({ at, values: FIGURES.map((figure) => figure.read(picture)) });
        this.#mark(picture, at);
        const first = at - KEPT;
        while ((this.points[0]?.at ?? first) < first) this.points.shift();
        this.windows = this.windows.filter((window) => window.to >= first);
    }

    /** @param {Picture} picture @param {number} at */
    #mark(picture, at) {
        for (const fault of picture.topology.faults) {
            const name = `${fault.service} ${fault.mode}`;
            const from = Date.parse(fault.since) / 1000;
            const open = this.windows.find((window) => window.name === name && window.from === from);
            if (open) open.to = at;
            else if (Number.isFinite(from)) this.windows.push({ from, to: at, name });
        }
    }

    /** As uPlot wants it: the times, and then the values of each figure that is named. @param {string[]} names */
    columns(names) {
        const places = names.map((name) => FIGURES.findIndex((figure) => figure.name === name));
        const times = this.points.map((point) => point.at);
        return [times, ...places.map((place) => this.points.map((point) => point.values[place] ?? null))];
    }
}
