"""The document that is committed is the one that is served."""

from pathlib import Path

from bookstore.service.docs.committed import FILE, written

COMMITTED = Path(__file__).parents[1] / FILE


def test_the_committed_document_is_served(shared):
    served = written(shared.get("/openapi.json").json())
    assert served == COMMITTED.read_text(), "made anew by `uv run bookstore contracts write`"
