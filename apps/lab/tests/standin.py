"""A service small enough for tests: answers /health, notes commands, misbehaves on request (MODE)."""

# ruff: noqa: T201 - its log is its stdout

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

MODE = os.environ.get("MODE", "")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/shut":
            self.server.socket.close()
            signal.pause()
        body = json.dumps(
            {"status": "degraded" if MODE == "degraded" else "healthy", "env": dict(os.environ)}
        )
        self.send_response(503 if MODE == "unhealthy" else 200)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self):
        """As accounts and the monitor do when somebody wants a link to the console."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers = {
            "/auth/login": {"access_token": f"for {asked.get('email')}", "refresh_token": "again"},
            "/v2/monitor/tickets": {"ticket": "t1cket", "expires_at": "2026-01-01T10:10:00Z"},
        }
        good = asked.get("password") or self.headers["Authorization"] == "Bearer for ops@bookstore.local"
        self.send_response(201 if good and MODE != "denies" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(answers[self.path]).encode())

    def log_message(self, *_):
        pass


if sys.argv[1:]:
    # As a command: write down what it was asked, with what on standard input, and for which database.
    with Path("asked").open("a") as file:
        file.write(json.dumps([sys.argv[1:], sys.stdin.read(), os.environ.get("DATABASE_URL")]) + "\n")
    print(f"did {sys.argv[1]}")
    first = Path("asked").read_text().count("\n") == 1
    sys.exit(MODE == "denies" or (MODE == "late" and first))
if MODE == "refuses":
    print(json.dumps({"level": "error", "message": "PRICE: unknown setting"}), flush=True)
    sys.exit(2)
signal.signal(signal.SIGTERM, signal.SIG_IGN if MODE == "deaf" else lambda *_: os._exit(0))
print(
    json.dumps({"timestamp": "2026-01-01T10:00:00.000Z", "level": "info", "message": "serving"}), flush=True
)
if door := os.environ.get("ADMIN_PORT"):
    second = HTTPServer(("127.0.0.1", int(door)), Handler)
    threading.Thread(target=second.serve_forever, daemon=True).start()
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
