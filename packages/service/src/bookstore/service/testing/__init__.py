"""For tests of services: one on a real socket, an issuer of tokens, and what strangers send."""

from bookstore.service.testing.forgeries import forgeries
from bookstore.service.testing.issuer import Issuer
from bookstore.service.testing.serving import serving

__all__ = ["Issuer", "forgeries", "serving"]
