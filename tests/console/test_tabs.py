"""Several tabs of one browser: they share a stream, and whoever reads it may go at any time."""

import time

import pytest

from .conftest import PATIENCE

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
def lag(puppet):
    """How long it takes until all of these tabs show something new."""

    def measure(tabs, orders):
        began = time.monotonic()
        puppet.picture["topology"]["orders_per_second"] = orders
        for tab in tabs:
            tab.locator(".figures", has_text=str(orders)).wait_for(timeout=PATIENCE)
        return time.monotonic() - began

    return measure


def test_eight_tabs_take_one_place(tabs, puppet, lag, expect):
    assert puppet.streams == 1
    assert lag(tabs, 41.5) < SOON
    # There are connections left for whatever else is asked.
    tabs[-1].locator("nav a", has_text="Queue").click()
    expect(tabs[-1].locator("main")).to_contain_text("dead letters")


def test_another_takes_over_from_one_that_is_closed_or_dies(tabs, puppet, lag):
    reading, *others = tabs
    reading.close()
    assert lag(others, 42.5) < SOON
    reading, *others = others
    session = reading.context.new_cdp_session(reading)
    with pytest.raises(Exception, match="crash"):
        session.send("Page.crash")
    assert lag(others, 43.5) < SOON
    assert puppet.streams == 1


def test_one_that_stands_still_loses_its_place_and_hears_the_others_later(tabs, puppet, lag, eventually):
    reading, *others = tabs
    session = reading.context.new_cdp_session(reading)
    session.send("Debugger.enable")
    session.send("Debugger.pause")
    lag(others, 44.5)
    session.send("Debugger.resume")
    lag(tabs, 45.5)
    eventually(lambda: puppet.streams == 1)


def test_who_is_hidden_reads_nothing_and_hears_nothing(tabs, puppet, lag, eventually, expect):
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
    lag([last], 46.5)
    assert puppet.streams == 1
    assert not any("46.5" in other.locator(".figures").inner_text() for other in others)
