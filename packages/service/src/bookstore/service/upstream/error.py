"""How a call can fail: a closed set, told apart by what the other side may have done."""


class UpstreamError(Exception):
    """A call failed. The message is for logs: it names the address, so keep it from callers outside."""


class ConnectFailed(UpstreamError):
    """Nothing was sent: no connection, or none free in time. Trying again is safe for every method."""


class TimedOut(UpstreamError):
    """The request was sent, in part at least, and the answer did not come or go on in time."""


class Broken(UpstreamError):
    """The connection died, or what came was no HTTP, after the request was sent, in part at least."""
