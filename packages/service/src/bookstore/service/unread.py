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
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await app(scope, receive, send)
            return
        ended = False

        async def take() -> Any:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def answer(message: "Message") -> None:
            if message["type"] == "http.response.start" and not ended:
                start = cast("dict[str, Any]", message)
                start["headers"] = [*start.get("headers", ()), _CLOSE]
            await send(message)

        await app(scope, take, answer)

    return routes


def _has_body(headers: "list[tuple[bytes, bytes]]") -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )
