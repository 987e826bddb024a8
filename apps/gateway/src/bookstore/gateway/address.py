"""Where a request comes from: the peer, or what proxies that we trust say of those before them."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

_NEIGHBOURS = 64
"""Bits of an IPv6 address that tell one customer of a network from the next."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """Networks whose word we take for the one that they had a request from."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._trusts = lru_cache(4096)(self._look)

    def client(self, peer: str, forwarded: Iterable[bytes]) -> str:
        """The address of the client: the first from the right that no trusted proxy has.

        Args:
            peer: Who has connected to us.
            forwarded: All `X-Forwarded-For` of the request, in order.
        """
        if not self._trusts(peer):
            return peer
        hops = [hop.strip() for hop in b",".join(forwarded).decode("latin-1").split(",")]
        client = peer
        while hops and self._trusts(client):
            address = _parsed(hops.pop())
            if address is None:
                break  # what can't be read says nothing, nor does anything left of it
            client = str(address)
        return client

    def _look(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._networks)


@lru_cache(4096)
def neighbourhood(address: str) -> str:
    """What an address counts as: itself, or the network in which one customer has as many as he wants."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _NEIGHBOURS), strict=False))
    return address


def _parsed(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
