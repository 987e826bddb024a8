"""The document that is committed is the one that is served."""

import json
from pathlib import Path

from bookstore.service.docs.committed import FILE, written

COMMITTED = Path(__file__).parents[1] / FILE


async def test_the_committed_document_is_served(gateway):
    async with gateway() as front:
        served = written(json.loads((await front.ask("GET", "/openapi.json")).body))
    assert served == COMMITTED.read_text(), "made anew by `uv run bookstore contracts write`"
