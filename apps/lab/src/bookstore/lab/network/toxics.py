"""What can be done to bytes on their way, in toxiproxy's names and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

Stream = Literal["upstream", "downstream"]
Kind = Literal["latency", "bandwidth", "timeout", "reset_peer", "slicer", "limit_data"]
Whole = Annotated[int, msgspec.Meta(ge=0)]
MILLISECOND = 0.001
MICROSECOND = 0.000_001
KILOBYTE = 1024


class Attributes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Those of all kinds; each kind reads its own.

    Attributes:
        latency: ms that every piece is late.
        jitter: ms that this varies by, both ways.
        rate: KB/s that get through.
        timeout: ms until the connection is closed or reset; 0 with `timeout` is never, and swallows all.
        average_size: bytes of a slice.
        size_variation: bytes that this varies by.
        delay: microseconds between two slices.
        bytes: how many get through before the connection is closed.
    """

    latency: Whole = 0
    jitter: Whole = 0
    rate: Annotated[int, msgspec.Meta(gt=0)] = 1
    timeout: Whole = 0
    average_size: Annotated[int, msgspec.Meta(gt=0)] = 64
    size_variation: Whole = 0
    delay: Whole = 0
    bytes: Whole = 0


class Toxic(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One thing that is done to one direction of a proxy's connections.

    Attributes:
        type: what.
        name: `TYPE_STREAM` unless somebody says otherwise.
        stream: `downstream` is from the server to the client.
        toxicity: the share of connections that suffer.
        attributes: how.
        bites: how many pieces, or connections that were ended, have suffered so far.
    """

    type: Kind
    name: str = ""
    stream: Stream = "downstream"
    toxicity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    attributes: Attributes = msgspec.field(default_factory=Attributes)
    bites: int = 0

    def __post_init__(self) -> None:
        self.name = self.name or f"{self.type}_{self.stream}"

    @property
    def swallows(self) -> bool:
        """Whether nothing gets through."""
        return self.type == "timeout"

    @property
    def ends_after(self) -> float | None:
        """Seconds after which a connection is ended, if it is."""
        if self.type == "reset_peer" or (self.type == "timeout" and self.attributes.timeout):
            return self.attributes.timeout * MILLISECOND
        return None

    def lateness(self, chance: random.Random) -> float:
        """Seconds from the arrival of a piece until it goes on."""
        if self.type != "latency":
            return 0.0
        spread = chance.uniform(-self.attributes.jitter, self.attributes.jitter)
        return max(0.0, self.attributes.latency + spread) * MILLISECOND

    def pause(self, size: int) -> float:
        """Seconds that a piece of `size` bytes takes up."""
        return size / (self.attributes.rate * KILOBYTE) if self.type == "bandwidth" else 0.0

    def slices(self, piece: bytes, chance: random.Random) -> Iterator[tuple[bytes, float]]:
        """A piece in parts, each with the seconds to wait after it."""
        if self.type != "slicer":
            yield piece, 0.0
            return
        attributes = self.attributes
        begin = 0
        while begin < len(piece):
            varied = chance.randint(-attributes.size_variation, attributes.size_variation)
            end = begin + max(1, attributes.average_size + varied)
            yield piece[begin:end], attributes.delay * MICROSECOND
            begin = end
