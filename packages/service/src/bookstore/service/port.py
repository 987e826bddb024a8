"""What it means that a port can't be had."""

import errno
import socket


class PortUnavailable(Exception):
    """The port can't be had; the message says why and what to do."""


def family_of(host: str) -> socket.AddressFamily:
    """Which kind of address this is."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def unavailable(setting: str, host: str, port: int, error: OSError) -> PortUnavailable:
    """What `error` means for whoever wrote `setting`."""
    why = {
        errno.EADDRINUSE: f"another process listens there; stop it, or set {setting} to a free one",
        errno.EACCES: f"ports below 1024 need rights that this user hasn't; set {setting} to a higher one",
        errno.EADDRNOTAVAIL: "this machine has no such address; set HOST to one of its own",
    }.get(error.errno or 0, str(error))
    return PortUnavailable(f"{setting}: can't listen on {host}:{port}: {why}")
