"""What can go wrong with a store, said so that a user can act on it."""


class StoreError(Exception):
    """A store can't be prepared, started or reached.

    Attributes:
        cause: what happened, in one sentence.
        advice: what to do about it.
    """

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(f"{cause} {advice}")
        self.cause = cause
        self.advice = advice
