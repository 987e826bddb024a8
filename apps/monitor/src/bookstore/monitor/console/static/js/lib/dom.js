/* Views are functions that give trees of plain objects; `render` makes the document like the tree.
 *
 * Elements are kept wherever they can be, so focus, selection, scroll and what somebody types survive every
 * refresh. Text becomes text and attributes attributes, whatever stands in them: nothing here reads markup.
 */

/** @import {Branch, Kid, Tree} from "../../../types" */

const SVG = "http://www.w3.org/2000/svg";
const ADDRESS = /^(?:#|\.\.?\/|https?:\/\/)/;
const FORBIDDEN = /^(?:on|style$|srcdoc$)/i;

/**
 * A branch of a tree. Beside attributes, `attrs` may have `key` (who it is among its siblings), `on` (handlers by
 * event), `first` (properties that are set once, like a field's value) and `made` (called with the new element,
 * whose content is then left alone).
 * @param {string} tag
 * @param {Record<string, any> | null} [attrs]
 * @param {...Tree} kids
 * @returns {Branch}
 */
export function h(tag, attrs, ...kids) {
    const { key, ...rest } = attrs ?? {};
    /** @type {Kid[]} */
    const flat = [];
    flatten(kids, flat);
    return { tag, key: key === undefined ? undefined : String(key), attrs: rest, kids: flat };
}

/** @param {Tree[]} kids @param {Kid[]} into */
function flatten(kids, into) {
    for (const kid of kids) {
        if (Array.isArray(kid)) flatten(kid, into);
        else if (typeof kid === "number") into.push(String(kid));
        else if (kid) into.push(kid);
    }
}

/** @type {WeakMap<Element, Branch>} */
const shown = new WeakMap();

/**
 * Make what is in `parent` like the tree.
 * @param {Element} parent
 * @param {...Tree} tree
 */
export function render(parent, ...tree) {
    /** @type {Kid[]} */
    const kids = [];
    flatten(tree, kids);
    patchKids(parent, kids);
}

/** @param {Element} parent @param {Kid[]} kids */
function patchKids(parent, kids) {
    const old = new Map();
    const was = naming();
    for (const node of parent.childNodes) old.set(was(shown.get(/** @type {any} */ (node)) ?? ""), node);
    const is = naming();
    const wanted = kids.map((kid) => {
        const name = is(kid);
        const node = old.get(name);
        old.delete(name);
        return node ?? make(kid, parent);
    });
    for (const node of old.values()) node.remove();
    // Those that stay in order are never moved: a moved element loses focus.
    let place = parent.firstChild;
    wanted.forEach((node, index) => {
        if (node === place) place = place?.nextSibling ?? null;
        else parent.insertBefore(node, place);
        const kid = kids[index];
        if (typeof kid === "string") {
            if (node.nodeValue !== kid) node.nodeValue = kid;
        } else if (kid) patch(/** @type {Element} */ (node), kid);
    });
}

/** Names children: by tag and key, or by tag and how many of it came before. */
function naming() {
    /** @type {Map<string, number>} */
    const seen = new Map();
    /** @param {Kid} kid */
    return (kid) => {
        const tag = typeof kid === "string" ? "" : kid.tag;
        if (typeof kid !== "string" && kid.key !== undefined) return `${tag} ${kid.key}`;
        const before = seen.get(tag) ?? 0;
        seen.set(tag, before + 1);
        return `${tag} #${before}`;
    };
}

/** @param {Kid} kid @param {Element} parent @returns {ChildNode} */
function make(kid, parent) {
    if (typeof kid === "string") return document.createTextNode(kid);
    const space = kid.tag === "svg" ? SVG : parent.namespaceURI;
    const element = space === SVG ? document.createElementNS(SVG, kid.tag) : document.createElement(kid.tag);
    Object.assign(element, kid.attrs.first);
    shown.set(element, { ...kid, attrs: {}, kids: [] });
    patch(element, kid);
    kid.attrs.made?.(element);
    return element;
}

/** @param {Element} element @param {Branch} now */
function patch(element, now) {
    const before = shown.get(element)?.attrs ?? {};
    shown.set(element, now);
    for (const name of Object.keys(before)) if (!(name in now.attrs)) setAttribute(element, name, null);
    for (const [name, value] of Object.entries(now.attrs)) {
        if (name === "on") for (const type of Object.keys(value)) listen(element, type);
        else if (value !== before[name]) setAttribute(element, name, value);
    }
    if (!now.attrs.made) patchKids(element, now.kids);
}

/** @param {Element} element @param {string} name @param {any} value */
function setAttribute(element, name, value) {
    if (name === "first" || name === "made" || FORBIDDEN.test(name)) return;
    const refused = name.endsWith("href") && value != null && !ADDRESS.test(String(value));
    if (value === false || value === null || value === undefined || refused) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
}

/** @type {WeakMap<Element, Set<string>>} */
const heard = new WeakMap();

/** One listener an event, for good; it calls what the newest tree says. @param {Element} element @param {string} type */
function listen(element, type) {
    const types = heard.get(element) ?? new Set();
    if (types.has(type)) return;
    heard.set(element, types.add(type));
    element.addEventListener(type, (event) => shown.get(element)?.attrs.on?.[type]?.(event));
}
