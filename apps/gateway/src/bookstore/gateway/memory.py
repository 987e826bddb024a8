"""What was found out before: clients come again and again, with the same headers, to the same paths."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(dict[K, V], Generic[K, V]):
    """Remembers so many findings at most; then it begins anew, which costs less than to know the oldest."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> V:
        """Remember this; gives it back."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value
