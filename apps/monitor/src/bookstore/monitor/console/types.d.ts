/* The shapes that the monitor answers with, as bookstore.contracts defines them: a test compares the names. */

export type Wellbeing = "HEALTHY" | "DEGRADED" | "UNHEALTHY" | "DOWN";

export interface InstanceHealth {
    status: Wellbeing;
    response_time_ms: number | null;
    checked_at: string;
    detail: string;
    service: string;
    instance: string;
    since: string;
}

export interface Change {
    id: string;
    service: string;
    instance: string;
    before: Wellbeing | null;
    after: Wellbeing;
    at: string;
    detail: string;
}

export interface Node {
    service: string;
    kind: "service" | "worker" | "store";
    status: Wellbeing | null;
    instances: number;
    requests_per_second: number | null;
    error_share: number | null;
    p95_ms: number | null;
}

export interface Edge {
    source: string;
    target: string;
    calls_per_second: number | null;
    success_share: number | null;
    p95_ms: number | null;
    circuit: string | null;
}

export interface Promise {
    name: string;
    service: string;
    says: string;
    objective: number;
    budget_left: number | null;
    burn: number | null;
    window_seconds: number;
}

export interface QueueHealth {
    unfinished: number;
    oldest_age_seconds: number;
    parked: number;
    dead: number;
}

export interface Fault {
    id: string;
    service: string;
    kind: "supplier" | "process" | "network" | "store";
    mode: string;
    parameters: Record<string, number | string>;
    since: string;
    ends_at: string | null;
    by: string;
}

export interface Parameter {
    default: number | string | null;
    least: number | null;
    most: number | null;
    unit: string;
    choices: string[];
}

export interface PossibleFault {
    service: string;
    kind: "supplier" | "process" | "network" | "store";
    mode: string;
    parameters: Record<string, Parameter>;
    says: string;
}

export interface Faults {
    data: Fault[];
    possible: PossibleFault[];
}

export interface Topology {
    at: string;
    services: Node[];
    edges: Edge[];
    orders_per_second: number | null;
    queue: QueueHealth | null;
    faults: Fault[];
    promises: Promise[];
}

export interface Circuit {
    service: string;
    instance: string;
    dependency: string;
    state: string | null;
    opened: number;
    rejected: number;
    in_flight: number | null;
    waiting: number | null;
    turned_away: number;
    retries: number;
    retries_over_budget: number;
    timeouts: number;
    failures: number;
    last_failure_at: string | null;
}

export interface Limiter {
    service: string;
    instance: string;
    scope: string;
    allowed: number;
    refused: number;
    degraded: number;
}

export interface Policies {
    at: string;
    circuits: Circuit[];
    limiters: Limiter[];
}

export interface RunStep {
    at: string;
    title: string;
    expected: string;
    seen: string;
    verdict: "ok" | "bad" | "unknown" | "running";
}

export interface Run {
    id: string;
    kind: "scenario" | "experiment";
    name: string;
    state: "running" | "passed" | "failed" | "valid" | "invalid" | "unknown" | "interrupted" | "error";
    phase: string;
    started_at: string;
    ended_at: string | null;
    steps: RunStep[];
    report: string | null;
}

export interface Picture {
    instances: InstanceHealth[];
    topology: Topology;
    policies: Policies;
    run: Run | null;
}

export interface TraceSummary {
    trace_id: string;
    name: string;
    service: string;
    started_at: string;
    duration_ms: number;
    spans: number;
    services: string[];
    errors: number;
}

export interface Traces {
    data: TraceSummary[];
    kept: number;
    bytes: number;
    dropped_spans: number;
}

export interface TraceEvent {
    name: string;
    offset_ms: number;
    attributes: Record<string, string>;
}

export interface TraceSpan {
    span_id: string;
    parent_id: string;
    name: string;
    kind: string;
    service: string;
    started_at: string;
    offset_ms: number;
    duration_ms: number;
    error: boolean;
    attributes: Record<string, string>;
    events: TraceEvent[];
    links: string[];
}

export interface Trace {
    summary: TraceSummary;
    spans: TraceSpan[];
}

export interface LogLine {
    at: string;
    service: string;
    instance: string;
    level: string;
    message: string;
    more: Record<string, string>;
}

export interface KindStatus {
    unfinished: number;
    waiting: number;
    published: number;
    in_hand: number;
    parked: number;
    dead: number;
    oldest_age_seconds: number;
}

export interface QueueStatus {
    paused_since: string | null;
    kinds: Record<string, KindStatus>;
}

export interface Job {
    id: number;
    kind: string;
    order_id: number;
    order_status: string;
    state: string;
    cause: string | null;
    attempts: number;
    episodes: number;
    created_at: string;
    due_at: string;
    lease_until: string | null;
    finished_at: string | null;
    settlement: string | null;
    reservation_id: string | null;
}

export interface JobEvent {
    from_state: string | null;
    to_state: string;
    at: string;
    cause: string;
}

export interface JobHistory {
    job: Job;
    jobs: Job[];
    events: JobEvent[];
}

export interface DeadJobs {
    data: Job[];
    total: number;
    limit: number;
    offset: number;
}

export interface Queue {
    known: QueueHealth | null;
    status: QueueStatus | null;
    dead: DeadJobs | null;
}

export interface Session {
    signed_in: boolean;
    who: string | null;
    roles: string[];
    expires_at: string | null;
    may_read: boolean;
    may_switch: boolean;
    faults_allowed: boolean;
    lab_available: boolean;
    jaeger_url: string | null;
}

export interface SwitchedCircuit {
    service: string;
    instance: string;
    dependency: string;
    state: string | null;
    detail: string;
}

export interface TriedAnswer {
    method: string;
    path: string;
    status: number | null;
    ms: number;
    trace_id: string;
    request_id: string;
    body: string;
}

export interface TriedSummary {
    requests: number;
    by_status: Record<string, number>;
    p50_ms: number;
    p95_ms: number;
}

export interface Tried {
    answers: TriedAnswer[];
    summary: TriedSummary;
}

export interface AuditEntry {
    at: string;
    who: string;
    action: string;
    target: string;
    parameters: Record<string, number | string | null>;
    outcome: string;
}

export interface Runnable {
    kind: "scenario" | "experiment";
    name: string;
    title: string;
    says: string;
    tags: string[];
    seconds: number;
}

export interface Report {
    id: string;
    kind: "scenario" | "experiment";
    name: string;
    at: string;
    verdict: Run["state"];
}

/* What views give to be drawn. */

export interface Branch {
    tag: string;
    key: string | undefined;
    attrs: Record<string, any>;
    kids: Kid[];
}

export type Kid = Branch | string;
export type Tree = Branch | string | number | false | null | undefined | Tree[];
