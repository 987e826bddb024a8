"""Each image is really made, by the Dockerfile's own steps, and the system runs from them as compose says.

No Docker is needed: see `container`. What only Docker could show is that its own images can be fetched.
"""

import json
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from compose_rules import DEPLOY, KINDS, LONG, environment, ports_of
from container import Image

from bookstore.stores import binaries
from bookstore.stores.ports import any_free

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
PACKAGES = sorted({service["build"]["args"]["PACKAGE"] for service in COMPOSE.values() if "build" in service})
README = (DEPLOY / "README.md").read_text()
MEGABYTE = 1_000_000
DOOR = {name: min(ports_of(name)) for name in KINDS}
"""Where each is by default."""


@pytest.fixture(scope="module")
def image():
    """Makes an app's image, once."""
    made = {}

    def make(package):
        if package not in made:
            folder = Path(tempfile.mkdtemp(prefix="bookstore-image-"))
            arguments = next(s["build"]["args"] for s in COMPOSE.values() if f"-{package}:" in s["image"])
            made[package] = Image(folder, **arguments)
        return made[package]

    yield make
    for each in made.values():
        subprocess.run(["chmod", "-R", "u+w", str(each.folder)], check=True)
        shutil.rmtree(each.folder)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_image_holds_its_app_and_what_that_needs(image, package):
    made = image(package)
    code, said = made.run("python", "-c", "import sys; print(*sys.path, sep='\\n')")
    assert code == 0, said
    assert str(made.sources) not in said
    site = next(Path(line) for line in said.splitlines() if line.endswith("site-packages"))
    ours = {path.name.partition("-")[0] for path in site.glob("bookstore_*.dist-info")}
    assert f"bookstore_{package}" in ours
    assert not {f"bookstore_{other}" for other in PACKAGES if other != package} & ours
    assert ("bookstore_stores" in ours) == (package == "lab")
    assert not list(site.glob("pytest*")), "tests need it, nobody else"
    assert list(site.glob("bookstore/*/__pycache__/*.pyc")), "each start would compile it anew"
    told = re.search(rf"^\| {package} \| (\d+) MB \|", README, re.MULTILINE)
    assert told, f"{package} takes {made.size / MEGABYTE:.0f} MB, and the page doesn't say so"
    assert made.size / MEGABYTE == pytest.approx(int(told[1]), rel=0.15)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_written_to_but_what_is_meant_for_it(image, package):
    made = image(package)
    places = [made.folder / "app", made.folder / "app" / ".venv"]
    code, said = made.run(
        "sh",
        "-c",
        'id -u; for place; do touch "$place/x" && echo "wrote to $place"; done',
        "sh",
        *map(str, places),
    )
    assert "wrote to" not in said, (code, said)
    code, said = made.run("sh", "-c", "touch ../data/x ../tmp/x && rm ../data/x ../tmp/x")
    assert code == 0, said


class Running:
    """The system of compose.yaml, each process from its image; ports and stores are those of this test."""

    def __init__(self, image, postgres, redis):
        self._image = image
        self._ports = {(name, port): any_free() for name in KINDS for port in ports_of(name)}
        self._postgres = re.search(r"@([^/]+)/", postgres)[1]
        self._redis = redis
        self.processes = {}

    def image(self, name):
        return self._image(COMPOSE[name]["build"]["args"]["PACKAGE"])

    def url(self, name):
        return f"http://127.0.0.1:{self._ports[name, DOOR[name]]}"

    def settings(self, name):
        """A service's environment, with what is here in the place of each host, port and folder."""
        found = {key: self._here(value, name) for key, value in environment(COMPOSE[name]).items()}
        if name in KINDS:
            found |= {"HOST": "127.0.0.1", "PORT": str(self._ports[name, DOOR[name]])}
            further = {
                "gateway": ("ADMIN_PORT", any_free()),
                "supplier": ("CONTROL_PORT", self._ports["supplier", 5013]),
            }
            if name in further:
                setting, port = further[name]
                found[setting] = str(port)
        return found

    def _here(self, value, name):
        if re.fullmatch(r"[\d.]+", value):
            return "127.0.0.1" if value.count(".") == 3 else value
        value = re.sub(r"redis://:[^@]*@redis:6379/0", self._redis, value)
        value = value.replace("//redis:6379", f"//{re.search(r'@([^/]+)/', self._redis)[1]}")
        value = re.sub(r"(?<=[@/])postgres:5432", self._postgres, value).replace(
            "catalogue:8001", "books:8001"
        )
        for (host, port), here in self._ports.items():
            value = value.replace(f"//{host}:{port}", f"//127.0.0.1:{here}")
        return re.sub(r"^/data", str(self.image(name).folder / "data"), value)

    def job(self, name):
        code, said = self.image(name).run(*COMPOSE[name]["entrypoint"], **self.settings(name))
        assert code == 0, said

    def start(self, name):
        words = COMPOSE[name].get("entrypoint", ())
        self.processes[name] = self.image(name).start(*words, **self.settings(name))

    def is_healthy(self, name):
        """As compose asks."""
        process = self.processes[name]
        assert process.poll() is None, process.said()
        *words, last = COMPOSE[name]["healthcheck"]["test"][1:]
        port = self._ports[name, int(last) if last.isdecimal() else DOOR[name]]
        words = [*words, str(port)] if last.isdecimal() else [*words, last]
        return self.image(name).run(*words, PORT=str(port))[0] == 0

    def end(self):
        """As compose ends it; what each said."""
        for process in self.processes.values():
            process.tell(signal.SIGTERM)
        return {name: (process.wait(60), process.said()) for name, process in self.processes.items()}


@pytest.fixture
def running(image, postgres_server, redis_server):
    made = Running(image, postgres_server.url, redis_server.url)
    subprocess.run(
        [
            binaries.postgres_installation() / "bin" / "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "--quiet",
            postgres_server.url,
        ],
        input=(DEPLOY / "k8s/stores/databases.sql").read_text(),
        env={f"{name}_PASSWORD": LONG for name in ("ACCOUNTS", "BOOKS", "ORDERS")},
        text=True,
        check=True,
    )
    yield made
    for process in made.processes.values():
        process.close()


def test_the_system_runs_from_its_images_and_ends_in_order(running, client, eventually):
    for name in ("migrate-accounts", "migrate-books", "migrate-orders"):
        running.job(name)
    for name in KINDS:
        running.start(name)
    for name in KINDS:
        eventually(lambda name=name: running.is_healthy(name))

    # Whoever shows no token may read the catalogue, which is shared out among two, and nothing more.
    front, books = running.url("gateway"), running.url("books")
    assert client.get(f"{front}/v2/books").json()["total"] > 200
    assert len({client.get(f"{front}/catalog/").json()["instance"] for _ in range(40)}) == 2
    assert (
        client.post(f"{books}/v1/books", json={"title": "1984", "author": "G", "price": "1"}).status_code
        == 401
    )
    assert client.get(f"{running.url('orders')}/v1/orders").status_code == 401

    # An order goes all the way: the supplier is asked, and the copies are sold in the services' own name.
    login = {"email": "ana@example.com", "password": "a long enough secret"}
    assert client.post(f"{front}/auth/register", json=login | {"name": "Ana"}).status_code == 201
    token = client.post(f"{front}/auth/login", json=login).json()["access_token"]
    who = {"Authorization": f"Bearer {token}"}
    wanted = {"items": [{"book_id": 1, "quantity": 2}]}
    before = client.get(f"{books}/inventory/1").json()["quantity"]
    order = eventually(lambda: taken(client.post(f"{front}/v2/orders", json=wanted, headers=who)))
    eventually(
        lambda: client.get(f"{front}/v2/orders/{order}", headers=who).json().get("status") == "Validated"
    )
    sold = {"book_id": 1, "quantity": before - 2, "reserved": 0}
    eventually(lambda: client.get(f"{books}/inventory/1").json() == sold)

    for name, (code, said) in running.end().items():
        assert code == 0, (name, said)
        assert json.loads(said.splitlines()[-1])["message"] == "stopped", name


def taken(answer):
    """The order's number; None where one should come back later."""
    assert answer.status_code in {201, 503}, answer.text
    return answer.json()["id"] if answer.status_code == 201 else None
