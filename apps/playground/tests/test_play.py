"""Limits of the playground itself, and the show without a server."""

import pytest

from bookstore.playground import play as play_module
from bookstore.playground.journal import KEPT, Journal, asked_for
from bookstore.playground.show import show
from bookstore.resilience import Event
from bookstore.service.testing.problems import check_problem


def test_a_journal_keeps_the_last_lines_and_no_more():
    journal = Journal(lambda _: None)
    for number in range(KEPT + 5):
        with asked_for(f"http://a/{number}"):
            journal(Event("fallback", "fallback", "supplier", detail={"error": "TimedOut"}))
    lines = journal.text.splitlines()
    assert len(lines) == KEPT
    assert lines[-1].endswith(f"Fallback for http://a/{KEPT + 4}: TimedOut")


def test_whoever_comes_while_too_much_is_under_way_is_told_so(monkeypatch, play):
    monkeypatch.setattr(play_module, "MOST_AT_ONCE", 3)
    playground = play()
    check_problem(playground.get("/invoke?count=4"), 503, "busy")
    assert playground.get("/invoke?count=3").status_code == 200


@pytest.mark.long
async def test_the_show_needs_no_server_and_holds_what_it_says():
    said = []
    assert await show(said.append)
    assert said[-1] == "6 of 6 scenes went as announced"
    assert any("Circuit half-open" in line for line in said)
