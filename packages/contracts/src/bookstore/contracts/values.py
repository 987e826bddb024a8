"""Values that check themselves: each holds its one canonical form, or isn't made.

A Struct that takes requests names them as types (`title: Text`), and `decoder` makes them while it decodes.
That is the only place where the notation of a number is still known: "1_000" and "1e3" are the same Decimal.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Self, TypeVar

import msgspec

T = TypeVar("T")


END = r"$(?!\n)"
"""The end of a text in a pattern: to Python a mere `$` also stands before a last newline."""

NO_NUL = r"^[^\u0000]*$"
"""What text has to look like to be kept at all, as a regular expression of JSON Schema."""

# Not `isprintable`: a character that is newer than this Python is one too.
_SEEN = r"[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
_seen = re.compile(_SEEN).search


class Text(str):
    """Text of one line: trimmed, and each run of white space folded into one blank."""

    __slots__ = ()

    pattern: ClassVar[str] = rf"^[^\u0000]*{_SEEN}[^\u0000]*$"
    """What it has to look like, as a regular expression of JSON Schema."""
    shortest: ClassVar[int] = 1
    longest: ClassVar[int] = 500
    """Characters, counted after the folding: what is kept counts, not how it was typed."""

    def __new__(cls, value: object) -> Self:
        """Fold `value`.

        Raises:
            ValueError: if that leaves nothing to see or too much, or it can't be kept.
            TypeError: if `value` is no text.
        """
        if not isinstance(value, str):
            raise TypeError("must be text")
        if "\0" in value:
            raise ValueError("must not hold the character NUL")
        folded = " ".join(value.split())
        # Zero-width characters are no white space, but a title made of them is as good as none.
        if not _seen(folded):
            folded = ""
        if len(folded) < cls.shortest:
            raise ValueError("must not be empty")
        if len(folded) > cls.longest:
            raise ValueError(f"must have at most {cls.longest} characters, not {len(folded)}")
        return super().__new__(cls, folded)


class Description(Text):
    """A longer text, which may be empty."""

    __slots__ = ()

    pattern = NO_NUL
    shortest = 0
    longest = 10_000


class Price(Decimal):
    """0 to 99,999,999.99 with two decimals, from a JSON number or from a string in plain notation."""

    __slots__ = ()

    pattern: ClassVar[str] = r"^[0-9]{1,8}(\.[0-9]{1,2}0*)?$"
    """What it looks like as a string."""
    highest: ClassVar[Decimal] = Decimal("99999999.99")

    def __new__(cls, value: object) -> Self:
        """Read `value` exactly.

        Raises:
            ValueError: if it is no number, or none that a price can be.
            TypeError: if it is neither text nor number.
        """
        amount = _number(value)
        if not amount.is_finite() or not 0 <= amount <= cls.highest:
            raise ValueError(f"must be from 0 to {cls.highest}")
        cents = amount.quantize(Decimal("0.01"))
        if cents != amount:
            raise ValueError("must have at most 2 decimals")
        return super().__new__(cls, abs(cents))  # abs: -0 is within the bounds, and is 0


_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise TypeError("must be a number, or a string with one")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("must be written with digits and a decimal point only, such as 12.99")
    return Decimal(value)


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Decodes JSON into a `kind` whose fields may be of this module's types; no number becomes a float."""
    return msgspec.json.Decoder(kind, dec_hook=_made, float_hook=_exact)


def plain(value: object) -> Any:
    """What an encoder writes in place of this module's types (`msgspec.json.Encoder(enc_hook=plain)`)."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, Price):
        return Decimal(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def _made(kind: type[Any], value: object) -> object:
    if issubclass(kind, (Text, Price)):
        return kind(value)
    # Neither a TypeError nor a ValueError: msgspec lays those at the door of whoever sent the value.
    raise RuntimeError(f"{kind.__name__} can't be read from JSON")


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # the exponent alone is beyond all bounds
        return Decimal("NaN")
