"""One span while it lasts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Final, Self, TypeAlias

from bookstore.service.context import RequestContext, new_span_id
from bookstore.service.otlp import encode
from bookstore.service.otlp.encode import Value

_MOST_EVENTS: Final = 32
_SEVERAL: Final = 2
_NOTHING: Final[Mapping[str, Value]] = {}


class Span:
    """A span that is recorded; one that isn't is None. It is sent when it ends, once.

    Args:
        send: Takes its bytes.
        kind: One of the kinds in `otlp.encode`.
        trace_id, span_id, parent_id: Where it stands; a root has no parent.
        of_caller: Whether its parent is in another process.
        tracestate: What the caller's tracing system wants to be passed on.
        links: Spans that it has to do with, encoded.
    """

    __slots__ = (
        "_attributes", "_dropped", "_events", "_links", "_of_caller", "_over", "_send", "_started",
        "_status", "kind", "name", "parent_id", "span_id", "trace_id", "tracestate",
    )  # fmt: skip

    def __init__(
        self,
        send: Callable[[bytes], None],
        name: str,
        kind: int,
        *,
        trace_id: str,
        span_id: str,
        parent_id: str = "",
        of_caller: bool = False,
        tracestate: str = "",
        links: Sequence[bytes] = (),
    ) -> None:
        self._send = send
        self._over = False
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.tracestate = tracestate
        self._of_caller = of_caller
        self._links = links
        self._attributes: list[bytes] = []
        self._events: list[bytes] = []
        self._dropped = 0
        self._status = b""
        self._started = time_ns()

    @property
    def traceparent(self) -> str:
        """What a call made in this span carries."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    @property
    def exemplar(self) -> dict[str, str]:
        """By what a metric leads to its trace."""
        return {"trace_id": self.trace_id}

    def child(self, name: str, kind: int) -> "Span":
        """A span within this one; it may outlast it."""
        return Span(
            self._send,
            name,
            kind,
            trace_id=self.trace_id,
            span_id=new_span_id(),
            parent_id=self.span_id,
            tracestate=self.tracestate,
        )

    def set(self, key: str, value: Value) -> None:
        """Say something of it whose values come again and again."""
        self._attributes.append(encode.attribute(key, value))

    def tell(self, key: str, value: Value) -> None:
        """Say something of it whose values hardly come again, such as a path."""
        self._attributes.append(encode.fresh(key, value))

    def add(self, attributes: bytes) -> None:
        """Add attributes that are encoded already."""
        self._attributes.append(attributes)

    def event(self, name: str, attributes: Mapping[str, Value] = _NOTHING) -> None:
        """Note what happens now."""
        if len(self._events) < _MOST_EVENTS:
            self._events.append(encode.event(name, time_ns(), attributes))
        else:
            self._dropped += 1

    def fail(self, error_type: str) -> None:
        """It came to nothing; the type is a class of errors, and never a message, which may hold anything."""
        self._status = encode.FAILED
        self.set("error.type", error_type)

    def fail_with(self, error: BaseException) -> None:
        """It ended with this; a caller that changed its mind is no error."""
        if not isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.fail(type(error).__qualname__)

    def end(self) -> None:
        """It is over; what is said of it from here on is lost."""
        if self._over:
            return
        self._over = True
        self._send(
            encode.span(
                trace_id=self.trace_id,
                span_id=self.span_id,
                parent_id=self.parent_id,
                of_caller=self._of_caller,
                tracestate=self.tracestate,
                name=self.name,
                kind=self.kind,
                started=self._started,
                ended=time_ns(),
                attributes=self._attributes,
                events=self._events,
                dropped_events=self._dropped,
                links=self._links,
                status=self._status,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.fail_with(error)
        self.end()


class Shared:
    """Spans of several requests that one piece of work is done for: it shows in each of them."""

    __slots__ = ("_spans",)

    def __init__(self, spans: "Sequence[Span | Shared]") -> None:
        self._spans = spans

    @property
    def traceparent(self) -> str:
        """What a call carries that is made for all of them: it can have only one parent."""
        return self._spans[0].traceparent

    def child(self, name: str, kind: int) -> "Shared":
        """A span within each."""
        return Shared([span.child(name, kind) for span in self._spans])

    def set(self, key: str, value: Value) -> None:
        """As `Span.set`."""
        for span in self._spans:
            span.set(key, value)

    def tell(self, key: str, value: Value) -> None:
        """As `Span.tell`."""
        for span in self._spans:
            span.tell(key, value)

    def add(self, attributes: bytes) -> None:
        """As `Span.add`."""
        for span in self._spans:
            span.add(attributes)

    def event(self, name: str, attributes: Mapping[str, Value] = _NOTHING) -> None:
        """As `Span.event`."""
        for span in self._spans:
            span.event(name, attributes)

    def fail(self, error_type: str) -> None:
        """As `Span.fail`."""
        for span in self._spans:
            span.fail(error_type)

    def fail_with(self, error: BaseException) -> None:
        """As `Span.fail_with`."""
        for span in self._spans:
            span.fail_with(error)

    def end(self) -> None:
        """As `Span.end`."""
        for span in self._spans:
            span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for span in self._spans:
            span.__exit__(kind, error, trace)


Recording: TypeAlias = Span | Shared
"""What a request may have if it is recorded."""


def together(requests: Sequence[RequestContext]) -> RequestContext | None:
    """Whose work it is that is done for all of these at once: the first's by name, and recorded in each."""
    if len(requests) < _SEVERAL:
        return next(iter(requests), None)
    spans = [request.span for request in requests if request.span]
    return requests[0].recorded_in(Shared(spans) if spans else None)
