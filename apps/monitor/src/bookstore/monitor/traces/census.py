"""How much an OTLP request would become, before anything is made of it.

Two bytes can be a span, so a megabyte can be half a million of them. This walks over the lengths alone, makes
nothing, and stops as soon as there is too much.
"""

from typing import Final

_LEVELS: Final[tuple[frozenset[int], ...]] = (
    frozenset({1}),  # of a request: resources
    frozenset({1, 2}),  # of those: the resource, scopes
    frozenset({1, 2}),  # of a scope: spans; of a resource: attributes
    frozenset({9, 11, 13}),  # of a span: attributes, events, links
)
_SIZES: Final = {1: 8, 5: 4}
_LENGTH: Final = 2


class TooMuch(ValueError):
    """It would become too much, or it isn't what it says."""


def examine(body: bytes, most: int) -> None:
    """Return if there are at most so many fields in a request.

    Raises:
        TooMuch: if there are more, or the bytes are no fields.
    """
    left = most
    places = [(0, len(body), 0)]
    while places:
        at, end, level = places.pop()
        while at < end:
            left -= 1
            if left < 0:
                raise TooMuch(f"more than {most} fields")
            tag, at = _varint(body, at, end)
            if tag & 7 == _LENGTH:
                length, at = _varint(body, at, end)
                if level < len(_LEVELS) and tag >> 3 in _LEVELS[level]:
                    places.append((at, min(at + length, end), level + 1))
                at += length
            elif tag & 7 in _SIZES:
                at += _SIZES[tag & 7]
            elif tag & 7 == 0:
                _, at = _varint(body, at, end)
            else:
                raise TooMuch("a field of no kind")
        if at > end:
            raise TooMuch("it ends in the middle of a field")


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if at + place >= end:
            break
        byte = body[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more comes
            return number, at + place + 1
    raise TooMuch("a number without an end")
