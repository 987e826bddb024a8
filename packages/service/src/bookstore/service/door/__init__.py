"""HTTP/1.1 by llhttp in our own event loop: what reads requests where Granian's threads would be too much.

`Door` listens and can be shut and opened again; each of its connections answers one request after the other
by an ASGI app. What could be read in two ways is refused, and nobody holds a place for nothing.
"""

from bookstore.service.door.arrival import ARRIVED
from bookstore.service.door.door import Door
from bookstore.service.door.exchange import RESET
from bookstore.service.door.express import WITHOUT_BODY, Express, Line, Passenger
from bookstore.service.door.metrics import DoorMetrics
from bookstore.service.door.request import Request

__all__ = [
    "ARRIVED",
    "RESET",
    "WITHOUT_BODY",
    "Door",
    "DoorMetrics",
    "Express",
    "Line",
    "Passenger",
    "Request",
]
