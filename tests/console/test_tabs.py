"""Several tabs of one browser: they share a stream, and whoever reads it may go at any time."""

import json
import time

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

TABS = 8
"""More than the six connections that a browser has for a host."""
SOON = 2.0
"""Seconds within which another tab has taken over."""


@pytest.fixture
def tabs(puppet, visit, expect):
    first = visit(puppet.url)
    expect(first.locator(".live")).to_have_text("live")
    opened = [first, *(visit(puppet.url, beside=first) for _ in range(TABS - 1))]
    for tab in opened:
        expect(tab.locator(".live")).to_have_text("live")
    return opened


@pytest.fixture
def show(puppet):
    """Tell something new, and wait until all of these tabs show it."""

    def tell(tabs, orders):
        puppet.picture["topology"]["orders_per_second"] = orders
        for tab in tabs:
            tab.locator(".figures", has_text=str(orders)).wait_for()

    return tell


@pytest.fixture
def taken_over(puppet, eventually):
    """Seconds from the end of a tab until another one reads."""

    def measure(end, tab):
        before = len(puppet.opened)
        end(tab)
        gone = time.monotonic()  # a busy browser takes a while to end it
        eventually(lambda: len(puppet.opened) > before)
        return puppet.opened[before] - gone

    return measure


def die(tab):
    """As a tab dies that has run out of memory. Nobody answers then, so nobody may wait for an answer."""
    browser = tab.context.browser.new_browser_cdp_session()
    target = tab.context.new_cdp_session(tab).send("Target.getTargetInfo")["targetInfo"]["targetId"]
    session = browser.send("Target.attachToTarget", {"targetId": target})["sessionId"]
    message = json.dumps({"id": 1, "method": "Page.crash"})
    with tab.expect_event("crash"):
        browser.send("Target.sendMessageToTarget", {"sessionId": session, "message": message})


def test_eight_tabs_take_one_place(tabs, puppet, show, expect):
    show(tabs, 41.5)
    assert len(puppet.opened) == puppet.streams == 1
    # There are connections left for whatever else is asked.
    tabs[-1].locator("nav a", has_text="Queue").click()
    expect(tabs[-1].locator("main")).to_contain_text("dead letters")


def test_another_takes_over_from_one_that_is_closed_or_dies(tabs, puppet, show, taken_over, eventually):
    for number, end in enumerate((lambda tab: tab.close(), die)):
        reading, *tabs = tabs
        assert taken_over(end, reading) < SOON
        show(tabs, 42.5 + number)
    eventually(lambda: puppet.streams == 1)


def test_one_that_stands_still_loses_its_place_and_hears_the_others_later(tabs, puppet, show, eventually):
    reading, *others = tabs
    session = reading.context.new_cdp_session(reading)
    session.send("Debugger.enable")
    session.send("Debugger.pause")
    show(others, 44.5)
    session.send("Debugger.resume")
    show(tabs, 45.5)
    eventually(lambda: puppet.streams == 1)


def test_who_is_hidden_reads_nothing_and_hears_nothing(tabs, puppet, show, eventually, expect):
    """As a browser does it: what is behind another tab is told that it isn't seen."""
    for tab in tabs:
        tab.evaluate(
            """() => {
                Object.defineProperty(document, "hidden", { configurable: true, get: () => globalThis.gone });
                globalThis.gone = true;
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
        expect(tab.locator(".live")).to_contain_text("paused")
    eventually(lambda: puppet.streams == 0)
    *others, last = tabs
    last.evaluate("() => { globalThis.gone = false; document.dispatchEvent(new Event('visibilitychange')); }")
    show([last], 46.5)
    assert puppet.streams == 1
    assert not any("46.5" in other.locator(".figures").inner_text() for other in others)
