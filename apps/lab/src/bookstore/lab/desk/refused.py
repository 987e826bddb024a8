"""What the desk refuses, and why."""

from __future__ import annotations

from bookstore.contracts.problems import NAMESPACE


class RefusedError(Exception):
    """A request that can't be granted."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = NAMESPACE + kind
        self.detail = detail
