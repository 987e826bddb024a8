"""The site is built strictly, and asks nothing of any other host."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from docs.site import stage

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("zensical") is None, reason="needs the dependency group docs: .ci/run docs"),
]

LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}
"""What a browser fetches by itself. A link that somebody may follow is another thing."""
ONLY_IF_ASKED = re.compile(r'class="(mermaid|glightbox|pyodide)|data-md-exec')
"""What would make the theme's script fetch a library from elsewhere."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "made"
    subprocess.run([sys.executable, "-m", "docs.site", "build", str(folder)], cwd=ROOT, check=True)
    return folder


class Page(HTMLParser):
    """What a page has the browser fetch."""

    def __init__(self, text):
        super().__init__()
        self.fetched = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if (tag, name) in LOADED]


def test_every_page_is_there(site):
    staged = stage.places(ROOT).values()
    assert [name for name in staged if not (site / name).with_suffix(".html").exists()] == []
    for name in ("api/orders.html", "library/policies.html", "requests/003.http", "images/system.svg"):
        assert (site / name).exists()


def test_no_page_asks_anything_of_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 80
    for path in pages:
        text = path.read_text()
        foreign = [each for each in Page(text).fetched if re.match(r"(https?:)?//", each)]
        assert foreign == [], path
        assert not ONLY_IF_ASKED.search(text), path
        assert "Content-Security-Policy" in text, path
        # The browser refuses what we have overlooked.
        assert "default-src 'self' file: data: blob: 'unsafe-inline'" in text, path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", path.read_text()), path


@pytest.mark.parametrize("broken", ["[a](#nowhere)", "[a](patterns/queue.md#nowhere)"])
def test_a_link_to_a_place_that_is_not_there_ends_the_build(broken, tmp_path, monkeypatch):
    whole = stage.stage

    def spoilt(root, folder):
        whole(root, folder)
        page = folder / "start.md"
        page.write_text(f"{page.read_text()}\n{broken}\n")

    monkeypatch.setattr(stage, "stage", spoilt)
    assert stage.build(ROOT, tmp_path / "made") != 0
    assert not (tmp_path / "made").exists()
