"""A tool small enough for tests: says how it was started, and serves a page (or refuses to, by its name)."""

import json
import os
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.end_headers()

    def log_message(self, *_):
        pass


def port():
    if "GF_SERVER_HTTP_PORT" in os.environ:
        return os.environ["GF_SERVER_HTTP_PORT"]
    words = " ".join(sys.argv[1:])
    if found := re.search(r"--web.listen-address=127.0.0.1:(\d+)", words):
        return found[1]
    text = Path(sys.argv[2]).read_text()
    return re.search(r'endpoint: "127.0.0.1:(\d+)"', text)[1]


name = Path(sys.argv[0]).name
with Path(f"{name}.json").open("w") as file:
    json.dump({"argv": sys.argv[1:], "environment": dict(os.environ)}, file)
if (Path(sys.argv[0]).parent / f"{name}.refuses").exists():
    sys.exit(1)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
HTTPServer(("127.0.0.1", int(port())), Handler).serve_forever()
