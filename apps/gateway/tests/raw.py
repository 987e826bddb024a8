"""Answers of raw services, for tests of the gateway in front of them."""

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MEBI = 1 << 20


def answers(*pieces: bytes, then: str = "hang"):
    """Answers one request of each connection, then hangs, closes or resets."""

    async def script(peer) -> None:
        await peer.request()
        await peer.answer(*pieces)
        if then == "hang":
            await peer.gone()
        elif then == "reset":
            peer.reset()

    return script
