"""When a request reached this machine, which is before our event loop comes to read it.

A loop that is busy, or whose process waits for a processor, leaves connections and bytes with the kernel for
as long. From within nobody sees that time, but the client has been waiting all the while.
"""

import socket
import struct
from contextlib import suppress
from typing import Final

ARRIVED: Final = "bookstore.arrived"
"""An ASGI extension of our own server: a function, `since_arrival` of the request's connection."""

_LAST_DATA: Final = struct.Struct("=I")
_PLACE: Final = 52
"""Where `struct tcp_info` (linux/tcp.h) has `tcpi_last_data_recv`, in milliseconds."""


def since_arrival(sock: socket.socket | None) -> float:
    """Seconds since the kernel took the last bytes from the other side; 0 where it doesn't tell."""
    with suppress(OSError, struct.error):
        if sock is not None:
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _PLACE + _LAST_DATA.size)
            return _LAST_DATA.unpack_from(told, _PLACE)[0] / 1000
    return 0.0
