"""The page as it is served, and what its files may and may not hold."""

import gzip
import hashlib
import importlib.resources
import json
import re

import msgspec
import pytest

from bookstore.contracts import console, faults, health, lab, monitor, queue
from bookstore.service.testing.problems import check_problem

PACKAGE = importlib.resources.files("bookstore.monitor.console")
STATIC = PACKAGE / "static"
FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML"
    r"|\beval\(|new Function|javascript:|setTimeout\(['\"]|\.style\."
)
"""Ways by which text could become markup or a program."""
LARGEST = 150_000


def files(folder=STATIC, prefix=""):
    for each in folder.iterdir():
        if each.is_dir():
            yield from files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_bytes()


FILES = dict(files())
OWN = {path: content.decode() for path, content in FILES.items() if not path.startswith("vendor/")}
MODULES = {path: text for path, text in OWN.items() if path.endswith(".js")}


def test_a_visitor_finds_the_page(shared):
    for path in ("/", "/console"):
        answer = shared.get(path, follow_redirects=False)
        assert answer.status_code in (301, 302, 303, 307, 308), path
        assert answer.headers["Location"].endswith("console/")
    page = shared.get("/", follow_redirects=True)
    assert page.url.path == "/console/"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.content == FILES["index.html"]


def test_every_file_is_served_and_guarded(shared):
    for path, content in FILES.items():
        answer = shared.get(f"/console/{path}")
        assert answer.content == content, path
        policy = answer.headers["Content-Security-Policy"]
        assert policy.split("; ") == [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
        ]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_styles_come_as_one(shared):
    sheet = shared.get("/console/style.css").text
    styles = [text for path, text in OWN.items() if path.endswith(".css")]
    assert len(styles) > 3
    assert sorted(sheet.splitlines()) == sorted("\n".join(styles).splitlines())
    assert re.findall(r'stylesheet" href="([^"]+)"', OWN["index.html"]) == ["style.css"]


def test_what_a_browser_has_is_not_sent_again(shared):
    first = shared.get("/console/js/main.js")
    again = shared.get("/console/js/main.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = shared.get("/console/js/main.js", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("*", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, br", False),
        ("identity", False),
        ("xgzip", False),
    ],
)
def test_it_is_packed_for_whom_takes_it(shared, accepted, packed):
    with shared.stream("GET", "/console/js/main.js", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert (answer.headers.get("Content-Encoding") == "gzip") is packed
    assert (gzip.decompress(raw) if packed else raw) == FILES["js/main.js"]
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["nothing.js", "../app.py", "%2e%2e/assets.py", "types.d.ts", "js", "js/"])
def test_nothing_else_is_served(shared, path):
    check_problem(shared.get(f"/console/{path}"), 404, "not-found")


def test_it_is_small():
    assert sum(len(gzip.compress(content, 9)) for content in FILES.values()) < LARGEST


def test_no_text_can_become_markup_or_a_program():
    found = {path: re.findall(FORBIDDEN, text) for path, text in OWN.items()}
    assert {path: hits for path, hits in found.items() if hits} == {}
    page = OWN["index.html"]
    assert not re.search(r"<style|<script(?![^>]*src=)|\son\w+=|\sstyle=", page)


def test_nobody_else_is_asked_for_anything():
    """Only the names of XML's spaces look like addresses."""
    for path, text in OWN.items():
        hosts = set(re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}[^\s\"']*", text))
        assert hosts <= {"http://www.w3.org/2000/svg"}, path


def test_modules_lead_to_modules_and_all_are_fetched_at_once():
    first, template = OWN["index.html"].split('<template id="modules">')
    assert re.findall(r'<script[^>]* src="([^"]+)"', first + template) == ["js/start.js"]
    assert {*re.findall(r'"modulepreload" href="([^"]+)"', template), "js/start.js"} == set(MODULES)
    for path, text in MODULES.items():
        for target in re.findall(
            r'^(?:import|export) .*? from "([^"]+)"|^} from "([^"]+)"', text, re.MULTILINE
        ):
            name = "".join(target)
            folder = path.rsplit("/", 1)[0].split("/")
            for part in name.split("/"):
                folder = folder[:-1] if part == ".." else folder + [part] * (part != ".")
            assert "/".join(folder) in MODULES, (path, name)


def test_its_first_words_wait_for_no_file():
    """What stands in the head is awaited before anything is painted, but for modules and pictures."""
    before, _, after = OWN["index.html"].partition('<div id="app">')
    assert {*re.findall(r'<link rel="([^"]+)"', before)} == {"icon"}
    assert all('type="module"' in script for script in re.findall("<script[^>]*>", before))
    assert after.startswith('<p class="first">Bookstore console')


def test_what_is_vendored_is_what_it_says():
    told = json.loads(FILES["VENDOR.json"])
    assert {each["file"] for each in told} | {each["licence_file"] for each in told} == {
        path for path in FILES if path.startswith("vendor/")
    }
    for each in told:
        assert hashlib.sha256(FILES[each["file"]]).hexdigest() == each["sha256"], each["file"]
        assert each["licence"] in FILES[each["licence_file"]].decode()
        assert each["version"] in each["source"]
    assert b"v1.6.32" in FILES["vendor/uPlot.iife.min.js"][:100]


SHAPES = {
    name: shape
    for module in (health, queue, lab, faults, console, monitor)
    for name, shape in vars(module).items()
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct)
}
ELSEWHERE = {"Branch"}
"""Not of the wire."""


def test_the_page_knows_the_shapes_by_their_names():
    text = (PACKAGE / "types.d.ts").read_text()
    told = dict(re.findall(r"export interface (\w+) \{\n(.*?)\n\}", text, re.DOTALL))
    assert len(told) > 30
    for name, body in told.items():
        if name not in ELSEWHERE:
            known = set(re.findall(r"^    (\w+)\??:", body, re.MULTILINE))
            assert known == set(SHAPES[name].__struct_fields__), name
