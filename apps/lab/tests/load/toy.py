"""A server that answers at once: what a load is sent at in tests. Prints its port."""

# ruff: noqa: T201

import asyncio


async def serve(reader, writer):  # noqa: C901 - a list of what servers do
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        if b"/v1/orders" in head:
            body = b'{"id": 7}'
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif b"/chunked" in head:
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
            )
        elif b"/half" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            break
        elif b"/until-the-end" in head:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            break
        elif b"/nonsense" in head:
            writer.write(b"SSH-2.0-something\r\n\r\n")
        elif b"/never" in head:
            await asyncio.Event().wait()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
