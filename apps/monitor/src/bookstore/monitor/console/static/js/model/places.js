/* Where everything stands on the map: laid out by hand, for a wide and for a narrow window. Who is new to the map
 * gets one of the free places. */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number, box: {width: number, height: number}, at: Record<string, Point>,
 *   free: Point[], brief: boolean, ways: Record<string, string>, labels: Record<string, Point>, start: string, startLabel: Point}} Plan */

/** @type {Plan} */
export const WIDE = {
    width: 1120,
    height: 560,
    box: { width: 164, height: 68 },
    at: {
        gateway: { x: 188, y: 220 },
        accounts: { x: 450, y: 74 },
        books: { x: 450, y: 220 },
        orders: { x: 450, y: 366 },
        "orders-worker": { x: 740, y: 366 },
        supplier: { x: 1028, y: 366 },
        redis: { x: 450, y: 508 },
        postgres: { x: 740, y: 508 },
    },
    free: [
        { x: 1028, y: 74 },
        { x: 740, y: 74 },
        { x: 1028, y: 220 },
        { x: 1028, y: 508 },
        { x: 188, y: 508 },
        { x: 188, y: 74 },
    ],
    brief: false,
    // Ways that would cross a box or a label go round it.
    ways: {
        "gateway>redis": "M188 256 C188 440 260 508 364 508",
        "books>redis": "M364 232 C330 250 330 480 364 498",
        "books>postgres": "M536 232 C600 250 590 498 654 500",
        "accounts>postgres": "M536 84 C646 100 604 490 654 494",
        "accounts>redis": "M364 84 C312 110 312 490 364 502",
        "supplier>postgres": "M1028 400 C1028 470 900 508 826 508",
    },
    // Short level ways would vanish behind their labels.
    labels: { "gateway>books": { x: 319, y: 204 }, "orders-worker>supplier": { x: 884, y: 346 } },
    start: "M8 220 H102",
    startLabel: { x: 52, y: 220 },
};

/** @type {Plan} */
export const NARROW = {
    width: 360,
    height: 590,
    box: { width: 136, height: 64 },
    at: {
        gateway: { x: 80, y: 96 },
        accounts: { x: 280, y: 96 },
        books: { x: 80, y: 244 },
        orders: { x: 280, y: 244 },
        "orders-worker": { x: 280, y: 392 },
        redis: { x: 80, y: 392 },
        supplier: { x: 280, y: 540 },
        postgres: { x: 80, y: 540 },
    },
    free: [
        { x: 80, y: 660 },
        { x: 280, y: 660 },
    ],
    brief: true,
    ways: {
        "gateway>redis": "M14 128 C0 200 0 320 14 372",
        "books>postgres": "M20 276 C-4 340 -4 450 20 510",
        "orders>postgres": "M222 276 C172 330 168 440 140 508",
        "accounts>postgres": "M226 128 C160 220 176 420 138 508",
    },
    labels: { "gateway>orders": { x: 186, y: 168 }, "orders-worker>books": { x: 176, y: 322 } },
    start: "M80 8 V56",
    startLabel: { x: 132, y: 32 },
};
