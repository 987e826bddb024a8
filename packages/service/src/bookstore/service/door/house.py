"""What a connection needs of the door that it came in by."""

from typing import Protocol

from bookstore.service.door.connection import Connection
from bookstore.service.door.exchange import App
from bookstore.service.door.express import Express
from bookstore.service.door.refusal import Refusal


class House(Protocol):
    """The door, as its connections see it."""

    connections: set[Connection]
    is_open: bool

    @property
    def app(self) -> App:
        """What answers requests."""
        ...

    @property
    def express(self) -> Express | None:
        """Who is offered plain requests first."""
        ...

    def refuse(self, refusal: Refusal) -> bytes:
        """What is answered for the app."""
        ...

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        ...
