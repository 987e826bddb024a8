"""An answer that comes before its request's body was read to its end says that the connection ends with it.

The server closes such a connection, unless the rest is there already. A client that isn't told so sends its
next request on it, and gets no answer to that one.
"""

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_CLOSE = (b"connection", b"close")


def closing_unread(app: "ASGIApp") -> "ASGIApp":
    """`app`, with that header wherever it is true."""

    async def routes(scope: "Scope", receive: "Receive", send: "Send") -> None:
        length = _length(scope["headers"]) if scope["type"] == "http" else 0
        if length == 0:
            await app(scope, receive, send)
            return
        ended = False
        size = 0

        async def take() -> Any:
            nonlocal ended, size
            message = await receive()
            size += len(message.get("body", b""))
            # The server may not know yet that the last piece was the last; a reader who counts does.
            ended = not message.get("more_body", False) or size == length
            return message

        async def answer(message: "Message") -> None:
            if message["type"] == "http.response.start" and not ended:
                start = cast("dict[str, Any]", message)
                start["headers"] = [*start.get("headers", ()), _CLOSE]
            await send(message)

        await app(scope, take, answer)

    return routes


def _length(headers: "list[tuple[bytes, bytes]]") -> int | None:
    """Bytes of the body; None if that isn't said beforehand."""
    length: int | None = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length
