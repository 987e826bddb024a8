/* Pictures for tests: a system that is well, and what a test changes of it. */

export const AT = "2026-11-21T14:05:00.000Z";
const SINCE = "2026-11-21T14:02:05.000Z";

export const node = (service, rest = {}) => ({
    service,
    kind: "service",
    status: "HEALTHY",
    instances: 1,
    requests_per_second: 5,
    error_share: 0,
    p95_ms: 20,
    ...rest,
});

export const edge = (source, target, rest = {}) => ({
    source,
    target,
    calls_per_second: 5,
    success_share: 1,
    p95_ms: 10,
    circuit: "closed",
    ...rest,
});

export const fault = (service, mode, rest = {}) => ({
    id: `${service}-${mode}`,
    service,
    kind: "supplier",
    mode,
    parameters: {},
    since: SINCE,
    ends_at: "2026-11-21T14:06:00.000Z",
    by: "ops@bookstore.local",
    ...rest,
});

export const ill = (service, status, detail, rest = {}) => ({
    service,
    instance: `${service}-1`,
    status,
    detail,
    response_time_ms: null,
    checked_at: AT,
    since: SINCE,
    ...rest,
});

/** A system in which everything is well, but for those instances that are given. */
export function picture({ instances = [], edges = [], services = [], circuits = [], ...rest } = {}) {
    const names = ["gateway", "books", "orders", "accounts", "orders-worker", "supplier"];
    const usual = [
        ...names.map((name) => node(name, name === "orders-worker" ? { kind: "worker" } : {})),
        node("postgres", { kind: "store", requests_per_second: null }),
        node("redis", { kind: "store", requests_per_second: null }),
    ];
    const worst = new Map(instances.map((each) => [each.service, each.status]));
    const changed = new Map(services.map((each) => [each.service, each]));
    const ways = [
        edge("gateway", "books"),
        edge("gateway", "orders"),
        edge("orders", "books"),
        edge("orders-worker", "supplier"),
        edge("orders", "postgres", { calls_per_second: null, success_share: null, p95_ms: null, circuit: null }),
    ];
    const given = new Map(edges.map((each) => [`${each.source}>${each.target}`, each]));
    return {
        instances,
        topology: {
            at: AT,
            services: usual.map((each) => changed.get(each.service) ?? { ...each, status: worst.get(each.service) ?? each.status }),
            edges: [
                ...ways.map((each) => given.get(`${each.source}>${each.target}`) ?? each),
                ...edges.filter((each) => !ways.some((way) => way.source === each.source && way.target === each.target)),
            ],
            orders_per_second: 2,
            queue: { unfinished: 0, oldest_age_seconds: 0, parked: 0, dead: 0 },
            faults: [],
            promises: [],
            ...rest,
        },
        policies: { at: AT, circuits, limiters: [] },
        run: null,
    };
}
