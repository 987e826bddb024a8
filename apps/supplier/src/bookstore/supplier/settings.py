"""What the supplier can be told."""

from bookstore.service.settings import Port, Settings


class SupplierSettings(Settings, frozen=True, kw_only=True):
    """Settings of the supplier."""

    port: Port = 5003
    """Where orders are validated: the port that fails on command."""
    control_port: Port = 5013
    """Where it is told to fail, and asked what it did: the port that never fails."""
    effects_file: str = ""
    """Where calls and effects are kept; empty means in memory only, and then they end with the process."""
    not_supplied: str = "Discontinued"
    """Products that are always rejected, with commas between them: names, or numbers of books."""
