"""A real Chromium that looks at the page, and holds what it does to what it may do."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .puppet import Puppet

PATIENCE = 20_000
PAGES = ("map", "circuits", "queue", "faults", "requests", "try", "scenarios", "reports")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = Path(os.environ.get("CONSOLE_SHOTS", ""))
LOST = "Failed to load resource"
"""How Chromium itself notes, for every page there is, that an answer was an error or didn't come."""


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the dependency group console")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here; `.ci/run console` installs Debian's where root may")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Watched:
    """A visitor's tabs, and what they did that they should not: errors, and requests to somebody else."""

    def __init__(self, context, origin):
        self.errors = []
        self.foreign = []
        self._origin = urlsplit(origin).netloc
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", self._asked)

    def _said(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(LOST):
            self.errors.append(message.text)

    def _asked(self, request):
        if urlsplit(request.url).netloc != self._origin:
            self.foreign.append(request.url)


@pytest.fixture
def visit(chromium):
    """Opens the page, alone or in a tab `beside` another; in the end, nobody may have complained."""
    opened = []

    def make(url, *, beside=None, width=1440, height=900, **settings):
        if beside:
            context = beside.context
        else:
            context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
            context.set_default_timeout(PATIENCE)
            opened.append((context, Watched(context, url)))
        page = context.new_page()
        page.goto(url)
        return page

    yield make
    for context, watched in opened:
        context.close()
        assert watched.errors == []
        assert watched.foreign == []


@pytest.fixture
def enter(visit):
    """Opens the page of a whole system with a link of its own, and is signed in."""

    def at(bookstore, page="map", **settings):
        link = bookstore.run("console")
        found = re.search(r"http://\S+/console/#ticket=\S+", link.stdout)
        assert found, link.stdout + link.stderr
        opened = visit(found[0], **settings)
        opened.locator(".who").wait_for()
        opened.goto(f"{found[0].partition('#')[0]}#/{page}")
        opened.evaluate("window.mine = 'not loaded again'")
        return opened

    return at


@pytest.fixture
def puppet():
    """A monitor that tells what the test wants."""
    with Puppet() as made:
        yield made


@pytest.fixture(scope="session")
def expect():
    """Playwright's, with a patience that fits a busy machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the dependency group console")
    playwright.expect.set_options(timeout=PATIENCE)
    return playwright.expect


@pytest.fixture
def shoot():
    """Takes a picture of a page, if CONSOLE_SHOTS names a folder for them."""

    def take(page, name, **options):
        if "CONSOLE_SHOTS" in os.environ:
            page.screenshot(path=SHOTS / f"{name}.png", **options)

    return take
