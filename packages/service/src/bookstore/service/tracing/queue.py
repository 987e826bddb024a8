"""Messages in spans: made in one request, sent by a relay, worked on by a worker, perhaps days later.

The span in which a message is made is the parent of its sending and of its first processing, which links to
it as well. Later deliveries are traces of their own, linked to the first: a trace doesn't last for days.
"""

from typing import TYPE_CHECKING, Final

from bookstore.service import context
from bookstore.service.context import RequestContext
from bookstore.service.otlp import encode
from bookstore.service.otlp.encode import CLIENT, CONSUMER, PRODUCER
from bookstore.service.tracing.span import Recording, Span
from bookstore.service.tracing.tracer import here

if TYPE_CHECKING:
    from contextvars import Token

_SYSTEM: Final = "redis"


def begin_message(queue: str, request: RequestContext | None) -> tuple[str | None, Recording | None]:
    """A request makes a message: the `traceparent` to keep with it, and the span to end once it is kept.

    Each is None where there is none.
    """
    if request is None:
        return None, None
    if request.span is None:
        return request.traceparent if request.trace_id else None, None
    span = request.span.child(f"create {queue}", PRODUCER)
    _describe(span, queue, "create")
    return span.traceparent, span


def sent(queue: str, message_id: int, made_in: str | None, *, together: int) -> None:
    """Note that a message was sent, in the trace in which it was made.

    Args:
        queue: Where to.
        message_id: Which it is.
        made_in: The `traceparent` that was kept with it.
        together: How many were sent at once.
    """
    tracer = here.get()
    if made_in is None or tracer is None or tracer.exporter is None:
        return
    span = tracer.begin(_request(None, made_in), f"send {queue}", CLIENT)
    if span is not None:
        _describe(span, queue, "send")
        span.tell("messaging.message.id", str(message_id))
        span.set("messaging.batch.message_count", together)
        span.end()


class Processing:
    """A message in work, for a `with` block: what is logged, called and recorded in it belongs to it.

    Args:
        queue: Where it came from.
        message_id: Which it is.
        request_id: What logs and calls are marked with.
        made_in: The `traceparent` that was kept with it.
        delivery: How often it was given to somebody, this time included.
    """

    def __init__(
        self, queue: str, message_id: int, *, request_id: str, made_in: str | None, delivery: int
    ) -> None:
        self._request = request = _request(request_id, made_in)
        self._token: Token[RequestContext | None] | None = None
        self.span: Span | None = None
        """What is recorded of it, if it is."""
        tracer = here.get()
        if tracer is None or not request.parent_id:
            return
        made = encode.link(request.trace_id, request.parent_id, {"messaging.operation.type": "create"})
        if delivery > 1:
            request.trace_id, request.parent_id = context.new_trace_id(), ""
        self.span = tracer.begin(request, f"process {queue}", CONSUMER, links=(made,))
        if self.span is not None:
            _describe(self.span, queue, "process")
            self.span.tell("messaging.message.id", str(message_id))
            self.span.set("bookstore.delivery", delivery)

    def __enter__(self) -> Span | None:
        self._token = context.current.set(self._request)
        return self.span

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._token is not None:
            context.current.reset(self._token)
        if self.span is not None:
            if error is not None:
                self.span.fail_with(error)
            self.span.end()


def _request(request_id: str | None, made_in: str | None) -> RequestContext:
    return context.begin(
        request_id=request_id.encode() if request_id else None,
        traceparent=made_in.encode() if made_in else None,
        tracestate=None,
        traced=made_in is not None,
    )


def _describe(span: Recording, queue: str, operation: str) -> None:
    span.set("messaging.system", _SYSTEM)
    span.set("messaging.destination.name", queue)
    span.set("messaging.operation.name", operation)
    span.set("messaging.operation.type", operation)
