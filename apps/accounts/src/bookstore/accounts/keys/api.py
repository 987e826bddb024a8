"""The published keys over HTTP."""

from litestar import Response, get

from bookstore.accounts.keys.ring import Ring
from bookstore.contracts.accounts import KeySet
from bookstore.service.provide import Given


@get("/.well-known/jwks.json", tags=["keys"])
async def jwks(ring: Given[Ring]) -> Response[KeySet]:
    """The keys that tokens are verified with, the newest first."""
    return Response(KeySet(keys=await ring.published()), headers={"Cache-Control": "public, max-age=60"})


handlers = [jwks]
