"""Reports as pages: by title, headings and landmarks, also whoever can't see them finds the way."""

from html.parser import HTMLParser

import pytest

from bookstore.lab.report.write import page as experiments
from bookstore.lab.scenarios.guide import Guide
from bookstore.lab.scenarios.play import Played
from bookstore.lab.scenarios.report import page as guides
from bookstore.lab.scenarios.seen import Observation


class Outline(HTMLParser):
    """What a page is made of, by its tags."""

    def __init__(self, page):
        super().__init__()
        self.open, self.texts, self.attributes = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "line", "rect", "path", "polyline", "circle"}:
            self.open.append(tag)
            self.texts.append((tag, "/".join(self.open), []))
        self.attributes.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            next(words for tag, _, words in reversed(self.texts) if tag == self.open[-1]).append(data)

    def told(self, tag):
        """Where a tag stands, and its text."""
        return [(way, "".join(words)) for each, way, words in self.texts if each == tag]

    def values(self, name):
        """An attribute's values."""
        return [given[name] for _, given in self.attributes if name in given]


@pytest.fixture
def played():
    """One guide that holds and one that doesn't."""
    steps = [("Reading", Observation(says="<200>", seen="200", holds=True))]
    return [
        Played(Guide(number="002", title="Limits & <queues>", seconds=1, steps=[]), observations=steps),
        Played(Guide(number="004", title="Failures", seconds=1, steps=[]), missing="there is no supplier"),
    ]


@pytest.fixture(params=["experiments", "guides"])
def page(request):
    if request.param == "guides":
        return guides(request.getfixturevalue("played"))
    sheet = request.getfixturevalue("sheet")
    return experiments(sheet.folder, sheet.results)


def test_a_page_says_what_it_is_and_where_its_parts_are(page):
    outline = Outline(page)
    assert outline.attributes[0] == ("html", {"lang": "en"})
    assert outline.open == []
    [(way, heading)] = outline.told("h1")
    assert (way, heading in {"Experiments", "Guides"}) == ("html/body/header/h1", True)
    [title] = [text for way, text in outline.told("title") if way == "html/head/title"]
    assert title.startswith(f"{heading}: ")
    assert [way for way, _ in outline.told("main")] == ["html/body/main"]
    assert {way for way, _ in outline.told("h2")} == {"html/body/main/section/h2"}
    assert all(text.strip() for _, text in outline.told("th"))
    ids = outline.values("id")
    assert len(ids) == len({*ids})
    assert {*outline.values("aria-labelledby")} == {*ids} == {to[1:] for to in outline.values("href")}


def test_a_page_of_guides_counts_what_holds(played):
    outline = Outline(guides(played))
    cells = [text for _, text in outline.told("td")]
    assert cells[1:4] == ["Limits & <queues>", "passed", "1 of 1"]
    assert [text for _, text in outline.told("a")] == ["002", "004"]
    assert "unknown" in cells
