"""A monitor on strings: it serves the real page, and tells it what a test wants told, however hostile."""

import copy
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bookstore.monitor.console.api import HEADERS
from bookstore.monitor.console.assets import INDEX, read_assets

ASSETS = read_assets()
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EVERYBODY = {
    "gateway": "service",
    "books": "service",
    "orders": "service",
    "accounts": "service",
    "orders-worker": "worker",
    "supplier": "service",
    "postgres": "store",
    "redis": "store",
}
CALLS = ["gateway>books", "gateway>orders", "gateway>accounts", "orders>books", "orders-worker>supplier"]
STORES = ["books>postgres", "orders>postgres", "accounts>postgres", "orders-worker>redis", "gateway>redis"]


MISSING = (404, {"detail": "there is no such thing here"})
FULL = {"detail": "50 read the events already, and there are no more places"}
DONE = {"redriven": 1, "purged": 1, "data": []}


def now(seconds=0.0):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def instance(service, status="HEALTHY", detail="", name=None):
    return {
        "service": service,
        "instance": name or f"{service}-1",
        "status": status,
        "detail": detail,
        "response_time_ms": 3.2,
        "checked_at": now(),
        "since": now(-60),
    }


def node(service, kind):
    known = kind != "store"
    return {
        "service": service,
        "kind": kind,
        "status": "HEALTHY",
        "instances": 1,
        "requests_per_second": 7.4 if known else None,
        "error_share": 0.0 if known else None,
        "p95_ms": 21.0 if known else None,
    }


def edge(way, *, known=True):
    source, target = way.split(">")
    return {
        "source": source,
        "target": target,
        "calls_per_second": 7.4 if known else None,
        "success_share": 1.0 if known else None,
        "p95_ms": 12.0 if known else None,
        "circuit": "closed" if known else None,
    }


def circuit(way, state="closed"):
    service, dependency = way.split(">")
    counts = dict.fromkeys(
        ("opened", "rejected", "turned_away", "retries", "retries_over_budget", "timeouts", "failures"), 0
    )
    return counts | {
        "service": service,
        "instance": f"{service}-1",
        "dependency": dependency,
        "state": state,
        "in_flight": 0,
        "waiting": 0,
        "last_failure_at": None,
    }


def job(number=1, cause="validation deadline spent"):
    return {
        "id": number,
        "kind": "validate",
        "order_id": 100 + number,
        "order_status": "Failed",
        "state": "dead",
        "cause": cause,
        "attempts": 3,
        "episodes": 2,
        "created_at": now(-600),
        "due_at": now(-300),
        "lease_until": None,
        "finished_at": now(-60),
        "settlement": None,
        "reservation_id": None,
    }


def span(number, parent="", **rest):
    return {
        "span_id": f"{number:016x}",
        "parent_id": f"{parent:016x}" if parent != "" else "",
        "name": f"step {number}",
        "kind": "INTERNAL",
        "service": "orders",
        "started_at": now(),
        "offset_ms": float(number),
        "duration_ms": 5.0,
        "error": False,
        "attributes": {},
        "events": [],
        "links": [],
    } | rest


def summary(name="POST /v2/orders", trace_id=TRACE):
    return {
        "trace_id": trace_id,
        "name": name,
        "service": "orders",
        "started_at": now(),
        "duration_ms": 40.0,
        "spans": 3,
        "services": ["orders", "books"],
        "errors": 0,
    }


def step(title, **rest):
    return {"at": now(-5), "title": title, "expected": "", "seen": "", "verdict": "running"} | rest


def run(*steps, **rest):
    """What the lab is doing."""
    told = {"id": "r1", "kind": "experiment", "name": "worker-killed", "state": "running", "phase": "method"}
    return told | {"started_at": now(-20), "ended_at": None, "steps": [*steps], "report": None} | rest


def switched(**rest):
    entry = {"at": now(-5), "who": "ops@bookstore.local", "action": "fault", "target": "supplier"}
    return entry | {"parameters": {"mode": "slow", "seconds": 60, "delay": 5.0}, "outcome": "done"} | rest


def possible(service="supplier", mode="down", kind="supplier", says="Refuses connections.", **parameters):
    return {"service": service, "kind": kind, "mode": mode, "parameters": parameters, "says": says}


def number(default, least, most, unit):
    return {"default": default, "least": least, "most": most, "unit": unit, "choices": None}


def picture():
    """A system in which all is well."""
    return {
        "instances": [
            instance(name, name=name if kind == "store" else None) for name, kind in EVERYBODY.items()
        ],
        "topology": {
            "at": now(),
            "services": [node(name, kind) for name, kind in EVERYBODY.items()],
            "edges": [*map(edge, CALLS), *(edge(way, known=False) for way in STORES)],
            "orders_per_second": 2.1,
            "queue": {"unfinished": 0, "oldest_age_seconds": 0.0, "parked": 0, "dead": 0},
            "faults": [],
            "promises": [
                {
                    "name": "orders",
                    "service": "orders",
                    "says": "An order is accepted",
                    "objective": 0.999,
                    "budget_left": 0.82,
                    "burn": 0.2,
                    "window_seconds": 600.0,
                }
            ],
        },
        "policies": {
            "at": now(),
            "circuits": [circuit(way) for way in CALLS],
            "limiters": [
                {"service": "gateway", "instance": "gateway-1", "scope": "api", "allowed": 9, "refused": 1}
                | {"degraded": 0}
            ],
        },
        "run": None,
    }


SESSION = {
    "signed_in": True,
    "who": "ops@bookstore.local",
    "roles": ["ops"],
    "expires_at": None,
    "may_read": True,
    "may_switch": True,
    "faults_allowed": True,
    "lab_available": True,
    "jaeger_url": None,
}
NOBODY = SESSION | {"signed_in": False, "who": None, "roles": [], "may_switch": False}


def answers():
    """What is told beside the stream: by path, as JSON, or as a status with JSON."""
    kinds = {"unfinished": 3, "waiting": 1, "published": 1, "in_hand": 0, "parked": 1, "dead": 2}
    return {
        "session": SESSION,
        "history": {"data": []},
        "traces": {"data": [summary()], "kept": 1, "bytes": 900, "dropped_spans": 0},
        f"traces/{TRACE}": {"summary": summary(), "spans": [span(1), span(2, 1), span(30, 1)]},
        "queue": {
            "known": None,
            "status": {
                "paused_since": None,
                "kinds": {"validate": kinds | {"oldest_age_seconds": 12.5}},
            },
            "dead": {"data": [job(1), job(2)], "total": 2, "limit": 20, "offset": 0},
        },
        "queue/jobs/1": {
            "job": job(1),
            "jobs": [job(1)],
            "events": [{"from_state": None, "to_state": "Processing", "at": now(), "cause": "accepted"}],
        },
        "faults": {
            "data": [],
            "possible": [
                possible(),
                possible(mode="slow", says="Answers late.", delay=number(5.0, 0.0, 300.0, "s")),
                possible("books", "kill", "process", "Kills the process."),
            ],
        },
        "audit": {"data": [switched()]},
        "lab/catalogue": {
            "data": [
                {"kind": "scenario", "name": "003", "title": "Orders that survive", "says": "A guide."}
                | {"tags": ["orders"], "seconds": 40},
                {"kind": "experiment", "name": "worker-killed", "title": "The worker is killed"}
                | {"says": "Nothing acknowledged is lost.", "tags": ["fast"], "seconds": 25},
            ]
        },
        "lab/reports": {
            "data": [
                {"id": "a1", "kind": "experiment", "name": "worker-killed", "at": now(), "verdict": "valid"}
            ]
        },
        "try": {
            "answers": [
                {"method": "POST", "path": "/v2/orders", "status": 201, "ms": 12.3, "trace_id": TRACE}
                | {"request_id": "r-1", "body": '{"id": 7}'}
            ],
            "summary": {"requests": 1, "by_status": {"201": 1}, "p50_ms": 12.3, "p95_ms": 12.3},
        },
    }


class Puppet:
    """Serves the page on a free port of loopback while it is held open with `with`."""

    def __init__(self):
        self.picture = picture()
        self.answers = answers()
        self.asked = []
        """Whatever changes something, as (method, path, body)."""
        self.events = []
        """Bytes that every stream sends once, before its next picture."""
        self.refuses = None
        """The status with which streams are refused, if they are."""
        self.streams = 0
        self.opened = []
        """When each of them was opened, by the clock that never jumps."""
        self.silent = threading.Event()
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/console/"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def stream(self, write):
        """One reader: a picture each half second, until it is over."""
        self.streams += 1
        self.opened.append(time.monotonic())
        told = 0
        try:
            while not self._over.is_set():
                if not self.silent.is_set():
                    waiting, told = b"".join(self.events[told:]), len(self.events)
                    shown = copy.deepcopy(self.picture)
                    shown["topology"]["at"] = now()
                    write(waiting + b"event: picture\ndata: " + json.dumps(shown).encode() + b"\n\n")
                self._over.wait(0.5)
        except OSError:
            pass
        finally:
            self.streams -= 1


def _handler(puppet):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, kind, body, headers=()):
            self.send_response(status)
            for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *headers]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def tell(self, told):
            status, told = told if isinstance(told, tuple) else (200, told)
            self.answer(status, "application/json", json.dumps(told).encode())

        def do_GET(self):
            path = self.path.partition("?")[0]
            if path.startswith("/console/"):
                asset = ASSETS[path.removeprefix("/console/") or INDEX]
                self.answer(200, asset.kind, asset.plain, HEADERS.items())
            elif path != "/v2/monitor/events":
                self.tell(puppet.answers.get(path.removeprefix("/v2/monitor/"), MISSING))
            elif puppet.refuses:
                self.tell((puppet.refuses, FULL))
            else:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                puppet.stream(self.wfile.write)

        def change(self):
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            path = self.path.removeprefix("/v2/monitor/")
            puppet.asked.append((self.command, path, body))
            self.tell(puppet.answers.get(path, DONE))

        do_POST = do_DELETE = change  # noqa: N815 - as http.server calls them

    return Handler
