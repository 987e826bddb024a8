/* Server-sent events, taken apart: bytes in any pieces become events. */

/** @typedef {{type: string, data: string, id: string}} Told */

/** Characters of one event; whoever sends more is not understood. */
export const LONGEST = 16_777_216;

/** Takes the text of a stream, piece by piece, and gives the events that are whole. */
export class Events {
    constructor() {
        this.rest = "";
        this.data = "";
        this.type = "";
        this.id = "";
        /** Milliseconds after which the sender wants to be asked again. @type {number | null} */
        this.retry = null;
    }

    /** @param {string} piece @returns {Told[]} */
    take(piece) {
        if (this.rest.length + this.data.length + piece.length > LONGEST) throw new RangeError("an event without an end");
        const lines = (this.rest + piece).split(/\r\n|\n|\r(?!$)/);
        this.rest = lines.pop() ?? "";
        /** @type {Told[]} */
        const whole = [];
        for (const line of lines) {
            if (line) this.#field(line);
            else if (this.data) whole.push({ type: this.type || "message", data: this.data.slice(0, -1), id: this.id });
            if (!line) this.data = this.type = "";
        }
        return whole;
    }

    /** @param {string} line */
    #field(line) {
        const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (name === "data") this.data += `${value}\n`;
        else if (name === "event") this.type = value;
        else if (name === "id") this.id = value;
        else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    }
}
