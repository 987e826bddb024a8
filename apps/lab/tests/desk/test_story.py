"""What a run tells becomes steps: one is running until the next begins."""

import msgspec
import pytest

from bookstore.lab.desk.story import Story
from bookstore.lab.live import Began, Ended, Entered, Said, Seen, read

BEGUN = [
    Began(name="x", title="X"),
    Entered(phase="start", expected="a system"),
    Entered(phase="inject", expected="redis is frozen"),
    Said(text="one"),
    Said(text="two"),
]


def told(*events):
    story = Story()
    story.hear([*BEGUN, *events])
    return story


def steps(story):
    return [(step.title, step.seen, step.verdict) for step in story.steps]


def test_a_phase_runs_until_the_next_one_begins():
    story = told()
    assert (story.phase, story.state) == ("inject", "running")
    assert steps(story) == [("start", "", "ok"), ("inject", "one; two", "running")]


def test_what_was_seen_is_a_step_of_its_own():
    story = told(Seen(title="no_loss", expected="none is lost", seen="2 are gone", verdict="bad"))
    assert steps(story)[1:] == [("inject", "one; two", "running"), ("no_loss", "2 are gone", "bad")]
    story.hear([Said(text="three"), Entered(phase="end"), Ended(state="invalid", report="r")])
    assert steps(story)[1:] == [
        ("inject", "one; two; three", "ok"),
        ("no_loss", "2 are gone", "bad"),
        ("end", "", "ok"),
    ]
    assert (story.state, story.report) == ("invalid", "r")


def test_observations_of_a_step_take_its_place():
    story = told(Entered(phase="Ask"), *(Seen(title="Ask", expected="x", seen=s, verdict="ok") for s in "ab"))
    assert steps(story)[2:] == [("Ask", "a", "ok"), ("Ask", "b", "ok")]


@pytest.mark.parametrize(("state", "verdict"), [("interrupted", "unknown"), ("error", "bad")])
def test_a_phase_that_was_broken_off_is_no_success(state, verdict):
    assert steps(told(Ended(state=state)))[-1] == ("inject", "one; two", verdict)
    story = told()
    story.break_off(state, "no such thing")
    assert (story.state, steps(story)[-1]) == (state, ("inject", "one; two; no such thing", verdict))


def test_an_end_without_any_phase_says_why():
    story = Story()
    story.break_off("error", "port 1 is taken")
    assert steps(story) == [("start", "port 1 is taken", "bad")]


def test_a_long_story_stays_short():
    story = told(*(Said(text="x" * 500) for _ in range(100)))
    assert len(story.steps[-1].seen) <= 600


def test_lines_that_are_no_events_are_kept_apart():
    lines = [msgspec.json.encode(BEGUN[3]), b"error: it's broken", b"", b'{"type":"gremlin"}']
    events, others = read(lines)
    assert [event.text for event in events] == ["one"]
    assert others == ["error: it's broken", '{"type":"gremlin"}']
