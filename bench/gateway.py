"""The gateway, nginx' proxy_pass, FastAPI with httpx, and next to nothing, in front of the same service.

    uv run python bench/gateway.py [--seconds 5] [--rounds 3] [--connections 32] [--without fastapi]
        [--compiled FOLDER]

One worker each. The gateway does all that it does in earnest: it verifies a token, counts on a shared Redis,
asks breaker and bulkhead, balances over two targets, and records one trace in ten. `compiled` is the same,
compiled by `deploy/compile.py`, for two minutes unless a FOLDER that it has made is named; the goals are held
against that one if it is there. nginx and FastAPI pass on, and nothing else. Nobody writes an access log.
`nothing` is the least that a proxy in Python can be: it takes both heads apart and puts them together again,
without a rule, a task or a timer. The peers are measured in turns; the table shows medians. Needs `wrk`, and
a C compiler for `compiled`.
nginx is Debian's; without it that line is left out, and the service behind is Granian. FastAPI and httpx are
fetched by uv for the measurement alone.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from generators import Result, by_wrk
from jwt.algorithms import OKPAlgorithm

from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

BOOK = '{"id":7,"title":"The Pragmatic Programmer","author":"Andy Hunt","price":"39.99","active":true}'
KEYS = "/.well-known/jwks.json"
PATIENCE = 30
COMPILE = Path(__file__).resolve().parent.parent / "deploy" / "compile.py"

GRANIAN = """
import asyncio, sys, uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
book, keys, ports = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
async def app(scope, receive, send):
    body = keys if scope["path"].endswith("jwks.json") else book
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
async def main():
    how = {"interface": Interfaces.ASGINL, "http": HTTPModes.http1, "log_enabled": False, "backlog": 1024}
    await asyncio.gather(*(Server(app, port=int(port), **how).serve() for port in ports))
uvloop.run(main())
"""

FASTAPI = """
import sys, httpx, uvicorn
from fastapi import FastAPI, Request, Response
app = FastAPI()
client = httpx.AsyncClient(base_url=sys.argv[2], limits=httpx.Limits(max_connections=256), trust_env=False)
@app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
async def proxy(path: str, request: Request):
    answer = await client.request(
        request.method, "/" + path, params=request.query_params, content=await request.body(),
        headers=[(name, value) for name, value in request.headers.raw if name != b"host"])
    return Response(answer.content, answer.status_code, dict(answer.headers))
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""

NOTHING = """
import asyncio, sys, httptools, uvloop
port, behind = map(int, sys.argv[1:])
idle = []
class Service(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpResponseParser(self)
    def on_message_begin(self):
        self.headers, self.body, self.whole = [], b"", False
    def on_header(self, name, value):
        self.headers.append(b"%b: %b\\r\\n" % (name.lower(), value))
    def on_body(self, body):
        self.body += body
    def on_message_complete(self):
        self.whole = True
    def data_received(self, data):
        self.parser.feed_data(data)
        if self.whole:
            head = b"HTTP/1.1 %d OK\\r\\n" % self.parser.get_status_code()
            if not self.client.is_closing():
                self.client.write(b"".join([head, *self.headers, b"\\r\\n", self.body]))
            idle.append(self)
    def ask(self, client, head):
        self.client = client
        self.transport.write(head)
class Client(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)
    def on_message_begin(self):
        self.headers = []
    def on_url(self, url):
        self.url = url
    def on_header(self, name, value):
        self.headers.append(b"%b: %b\\r\\n" % (name.lower(), value))
    def on_message_complete(self):
        line = b"%b %b HTTP/1.1\\r\\n" % (self.parser.get_method(), self.url)
        head = b"".join([line, *self.headers, b"\\r\\n"])
        if idle:
            idle.pop().ask(self.transport, head)
        else:
            asyncio.ensure_future(self.connect(head))
    async def connect(self, head):
        _, service = await asyncio.get_running_loop().create_connection(Service, "127.0.0.1", behind)
        service.ask(self.transport, head)
    def data_received(self, data):
        self.parser.feed_data(data)
async def main():
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()
uvloop.run(main())
"""


@contextmanager
def running(port: int, *command: object, **environment: str) -> Iterator[int]:
    process = subprocess.Popen(
        [str(word) for word in command], env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit(f"nobody answers at {port}: {command[:3]}") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def nginx(folder: Path, name: str, servers: str) -> list[object]:
    file = folder / f"{name}.conf"
    file.write_text(
        f"daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{ access_log off; keepalive_requests 1000000;\n"
        f"client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n"
        f"uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{servers}\n}}\n"
    )
    return ["nginx", "-e", f"{folder}/{name}.log", "-c", file]


def service(folder: Path, ports: list[int], keys: str) -> list[object]:
    if not shutil.which("nginx"):
        return [sys.executable, "-c", GRANIAN, BOOK, keys, *ports]
    listen = "".join(f"listen 127.0.0.1:{port} backlog=1024; " for port in ports)
    return nginx(
        folder,
        "service",
        f"server {{ {listen} default_type application/json;\n"
        f"location {KEYS} {{ return 200 '{keys}'; }}\nlocation / {{ return 200 '{BOOK}'; }} }}",
    )


def front(folder: Path, port: int, ports: list[int]) -> list[object]:
    targets = "".join(f"server 127.0.0.1:{each}; " for each in ports)
    return nginx(
        folder,
        "front",
        f"upstream books {{ least_conn; {targets} keepalive 256; keepalive_requests 1000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://books;\n"
        'proxy_http_version 1.1; proxy_set_header Connection ""; }}',
    )


def gateway(folder: Path, ports: list[int]) -> Path:
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    file = {
        "jwks": urls[0] + KEYS,
        "upstreams": {"books": {"targets": [{"url": url} for url in urls]}},
        "limits": {"api": {"quota": 1_000_000_000, "per": 60, "key": "caller"}},
        "routes": [
            {"id": "books", "prefix": "/v1/books", "upstream": "books", "auth": "token", "limit": "api"}
        ],
    }
    path = folder / "gateway.json"
    path.write_text(json.dumps(file))
    return path


def compiled(target: Path) -> Path:
    subprocess.run([sys.executable, COMPILE, target], check=True)
    return target


def identity() -> tuple[str, str]:
    """A key set, and a token that one of its keys has signed."""
    key, now = Ed25519PrivateKey.generate(), int(time.time())
    keys = {"keys": [{**json.loads(OKPAlgorithm.to_jwk(key.public_key())), "kid": "one", "use": "sig"}]}
    claims = {"iss": "bookstore", "aud": "bookstore", "sub": "7", "jti": "j", "iat": now}
    claims |= {"exp": now + 3600, "roles": ["customer"]}
    return json.dumps(keys), jwt.encode(claims, key, "EdDSA", headers={"kid": "one"})


def cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    from psutil import Process  # noqa: PLC0415

    processes = [Process(pid), *Process(pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--without", choices=["compiled", "nginx", "fastapi"], action="append", default=[])
    parser.add_argument("--compiled", type=Path, metavar="FOLDER", help="what deploy/compile.py has made")
    options = parser.parse_args()
    keys, token = identity()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bookstore-bench-")))
        gateways = {"gateway": ""}
        if "compiled" not in options.without:
            gateways["compiled"] = str(options.compiled or compiled(folder / "compiled"))
        guardian = Guardian()
        stack.callback(guardian.close)
        store = Redis(folder=folder / "redis", port=any_free(), password="bench", account=unprivileged())  # noqa: S106
        folder.chmod(0o755)
        redis = stack.enter_context(Server(store, guardian))
        behind = [any_free(), any_free()]
        stack.enter_context(running(behind[0], *service(folder, behind, keys)))
        peers: dict[str, tuple[int, int]] = {}

        def peer(name: str, port: int, *command: object, **environment: str) -> None:
            peers[name] = port, stack.enter_context(running(port, *command, **environment))

        settings = {
            "GATEWAY_CONFIG": str(gateway(folder, behind)),
            "REDIS_URL": redis.url,
            "DRAIN_ANNOUNCE": "0",
            "ACCESS_LOG": "false",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{behind[0]}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.1",
        }
        for name, code in gateways.items():
            own = {"PORT": str(port := any_free()), "ADMIN_PORT": str(any_free()), "PYTHONPATH": code}
            peer(name, port, sys.executable, "-m", "bookstore.gateway", **settings, **own)
        if shutil.which("nginx") and "nginx" not in options.without:
            peer("nginx", port := any_free(), *front(folder, port, behind))
        peer("nothing", port := any_free(), sys.executable, "-c", NOTHING, port, behind[0])
        if "fastapi" not in options.without:
            uv = ["uv", "run", "--no-project", "--with", "fastapi,httpx,uvicorn[standard]", "python", "-c"]
            peer("fastapi", port := any_free(), *uv, FASTAPI, port, f"http://127.0.0.1:{behind[0]}")
        results: dict[str, list[tuple[Result, float]]] = {name: [] for name in peers}
        for _ in range(options.rounds + 1):  # the first warms up
            for name, (port, pid) in peers.items():
                before = cpu_seconds(pid)
                result = by_wrk(
                    port, "/v1/books/7", options.connections, options.seconds, Authorization=f"Bearer {token}"
                )
                spent = (cpu_seconds(pid) - before) / max(1.0, result.rate * options.seconds)
                results[name].append((result, spent * 1e6))
    return show(results, options.connections)


def show(results: dict[str, list[tuple[Result, float]]], connections: int) -> int:
    print(f"GET of a book, {connections} connections, one worker each, load {os.getloadavg()[0]:.1f}")
    ours = "compiled" if "compiled" in results else "gateway"
    print(f"peer       requests/s  p50 ms  p99 ms  CPU us  errors  {ours}'s share")
    rates = {name: statistics.median(run.rate for run, _ in runs[1:]) for name, runs in results.items()}
    tails = {name: statistics.median(run.p99 for run, _ in runs[1:]) for name, runs in results.items()}
    for name, runs in results.items():
        p50 = statistics.median(run.p50 for run, _ in runs[1:])
        p99 = tails[name]
        cpu = statistics.median(spent for _, spent in runs[1:])
        errors = sum(run.errors for run, _ in runs[1:])
        share = rates[ours] / rates[name]
        print(
            f"{name:9}  {rates[name]:10,.0f}  {p50:6.2f}  {p99:6.1f}  {cpu:6.0f}  {errors:6}  {share:15.2f}"
        )
    held = (
        rates[ours] >= 0.25 * rates.get("nginx", 0.0)
        and rates[ours] >= 15 * rates.get("fastapi", 0.0)
        and tails[ours] <= 3 * tails.get("nginx", float("inf"))
    )
    return 0 if held and not any(run.errors for run, _ in results[ours]) else 1


if __name__ == "__main__":
    sys.exit(main())
