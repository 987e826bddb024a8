"""The overlay for one machine, run without a cluster: each container's command with its settings, in order.

What this can't show is what Kubernetes itself does: probing, scheduling, policies, volumes.
"""

import base64
import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from bookstore.stores.binaries import postgres_installation, redis_server
from bookstore.stores.ports import any_free
from bookstore.stores.provision import with_database, with_user
from bookstore.stores.redis import redis_answers

from .conftest import SOURCE
from .world import World

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
ANA_AGAIN = {"email": "ana@example.com", "password": "a long enough secret"}
ANA = ANA_AGAIN | {"name": "Ana"}


class Machine:
    """Runs what a cluster would, on free ports of this machine."""

    def __init__(self, world, folder, postgres):
        self.world = world
        self.folder = folder
        self.postgres = postgres
        self.processes = {}
        taken = {app.name: {name: any_free() for name in app.ports} for app in world.apps}
        self.port = taken | {"redis": {"redis": any_free()}, "postgres": {"postgres": postgres.port}}

    def told(self, workload):
        """A workload's settings, with addresses on this machine."""
        told = self.world.told(workload)
        for service in self.world.of("Service"):
            name = service["metadata"]["name"]
            for entry in service["spec"]["ports"]:
                port = self.port[name][entry["targetPort"]]
                there = re.compile(rf"(?<=[/@]){name}(\.bookstore)?:{entry['port']}\b")
                for setting, value in told.items():
                    # Two names of one Service stay two.
                    told[setting] = there.sub(
                        lambda found, port=port: f"{'localhost' if found[1] else '127.0.0.1'}:{port}", value
                    )
        mounted = {name: value.replace("/covers", str(self.folder)) for name, value in told.items()}
        return mounted | {"PATH": os.environ["PATH"], "HOST": "127.0.0.1"}

    def make_databases(self):
        """What PostgreSQL's image does with an empty volume."""
        script = self.world.named("ConfigMap", self.name_of("ConfigMap", "databases"))["data"]
        secret = self.world.named("Secret", self.name_of("Secret", "postgres"))["data"]
        passwords = {name: base64.b64decode(value).decode() for name, value in secret.items()}
        self.psql("postgres", script["databases.sql"], **passwords)

    def psql(self, database, script, **told):
        """Run a script as the administrator; what it reads of the environment is `told`."""
        program = postgres_installation() / "bin/psql"
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        subprocess.run(
            [program, *options, with_database(self.postgres.url, database)],
            input=script,
            env={"PATH": os.environ["PATH"], **told},
            text=True,
            check=True,
        )

    def start_redis(self):
        secret = self.world.named("Secret", self.name_of("Secret", "redis"))["data"]
        path = self.folder / "redis.conf"
        text = base64.b64decode(secret["redis.conf"]).decode()
        path.write_text(text.replace("dir /data", f"dir {self.folder}"))
        here = ["--port", str(self.port["redis"]["redis"]), "--bind", "127.0.0.1"]
        self.start("redis", [redis_server(), path, *here], {})

    def migrate(self):
        for job in self.world.workloads:
            if job.kind == "Job":
                command = [sys.executable, *job.container["command"][1:]]
                told = self.told(job) | {"PATH": os.environ["PATH"]}
                subprocess.run(command, env=told, stdin=subprocess.DEVNULL, check=True)

    def start_apps(self):
        settings = {"http": "PORT", "validate": "PORT"}
        for app in self.world.apps:
            ports = {settings[name]: str(port) for name, port in self.port[app.name].items()}
            if app.name == "supplier":
                ports["CONTROL_PORT"] = str(self.port["supplier"]["http"])
            own = {"EFFECTS_FILE": str(self.folder / "effects")} if app.name == "supplier" else {}
            own |= {"ADMIN_PORT": str(any_free())} if app.name == "gateway" else {}
            command = [sys.executable, *app.container["command"][1:]]
            self.start(app.name, command, self.told(app) | ports | own)

    def start(self, name, command, told):
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=told, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def lives(self, name):
        """True, or the end of the test with what the process said last."""
        assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
        return True

    def probe(self, app, kind):
        path = app.container[f"{kind}Probe"]["httpGet"]["path"]
        try:
            return httpx.get(f"{self.url(app.name)}{path}", trust_env=False).status_code
        except httpx.TransportError:
            return None

    def url(self, name):
        return f"http://127.0.0.1:{self.port[name]['http']}"

    def name_of(self, kind, name):
        """The name of something that was generated."""
        names = [each["metadata"]["name"] for each in self.world.of(kind)]
        return next(each for each in names if re.fullmatch(rf"{name}-[a-z0-9]{{10}}", each))

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def machine(rendered, tmp_path, postgres_server):
    made = Machine(World(rendered["local"]), tmp_path, postgres_server)
    yield made
    made.end()


def test_it_starts_serves_and_leaves(machine, rendered, eventually):
    world = machine.world
    orders = next(app for app in world.apps if app.name == "orders")
    machine.make_databases()
    machine.start_redis()
    url = machine.told(orders)["REDIS_URL"]
    eventually(lambda: machine.lives("redis") and redis_answers(url))

    # The jobs end before anything else begins: no app has a schema to make.
    machine.migrate()
    with psycopg.connect(machine.told(orders)["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone()
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(machine.told(orders)["DATABASE_URL"].replace("orders_db", "books_db"))

    count_as_keda_does(machine, World(rendered["everything"]))

    machine.start_apps()
    for app in world.apps:
        for kind in ("startup", "liveness", "readiness"):
            eventually(lambda app=app, kind=kind: machine.lives(app.name) and machine.probe(app, kind) == 200)
    buy(machine.url("gateway"), eventually)

    # Without preStop's seconds, which pass before the signal.
    given = {app.name: app.pod["terminationGracePeriodSeconds"] - 5 for app in world.apps}
    began = time.monotonic()
    for name in given:
        machine.processes[name].send_signal(signal.SIGTERM)
    for name, patience in given.items():
        assert machine.processes[name].wait(began + patience - time.monotonic()) == 0, name


def count_as_keda_does(machine, world):
    """Whom reader.sql makes can count what is due, and read nothing else."""
    machine.psql("orders_db", (SOURCE / "components/keda/reader.sql").read_text(), LEDGER_READER_PASSWORD="x")
    query = world.named("ScaledObject", "orders-worker")["spec"]["triggers"][0]["metadata"]["query"]
    url = with_database(with_user(machine.postgres.url, "ledger_reader", "x"), "orders_db")
    with psycopg.connect(url, autocommit=True) as reader:
        assert reader.execute(query).fetchone() == (0,)
        for secret in ("SELECT cause FROM ledger", "SELECT * FROM orders"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(secret)


def buy(gateway, eventually):
    """Somebody registers, orders, and the order is validated; nobody orders without a token."""
    with httpx.Client(base_url=gateway, timeout=10, trust_env=False) as client:
        assert client.post("/auth/register", json=ANA).status_code == 201
        token = client.post("/auth/login", json=ANA_AGAIN).json()
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        book = eventually(lambda: client.get("/v1/books?limit=1").json())[0]["id"]
        wish = {"book_id": book, "quantity": 1}
        assert client.post("/v1/orders", json=wish).status_code == 401
        order = client.post("/v1/orders", json=wish, headers=bearer)
        assert order.status_code == 201, order.text
        where = order.headers["Location"]
        eventually(lambda: client.get(where, headers=bearer).json()["status"] == "Validated")
        assert urlsplit(where).path.startswith("/v1/orders/")
