"""Signatures of requests to S3: AWS Signature Version 4, as its documentation describes it."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

import msgspec

NOTHING = hashlib.sha256(b"").hexdigest()
"""The hash of a request without a body."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(msgspec.Struct, frozen=True):
    """Who signs, and for which region."""

    id: str
    secret: str
    region: str


def signed(
    method: str, path: str, headers: Mapping[str, str], keys: Keys, *, sha256: str, at: datetime
) -> dict[str, str]:
    """`headers` and those that sign them, in lower case, for a request without a query.

    Args:
        method: In capitals.
        path: As it is, not encoded.
        headers: Those that are signed; `host` must be among them.
        keys: Whose request it is.
        sha256: The hash of the body, in hexadecimal digits.
        at: Now, in UTC.
    """
    time = at.strftime("%Y%m%dT%H%M%SZ")
    told = {name.lower(): value.strip() for name, value in headers.items()}
    told |= {"x-amz-content-sha256": sha256, "x-amz-date": time}
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
    request = "\n".join([method, quote(path, safe="/-_.~"), "", lines, names, sha256])

    scope = f"{time[:8]}/{keys.region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    signature = _mac(key, text).hex()
    credential = f"{keys.id}/{scope}"
    return told | {
        "authorization": f"{_ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"
    }


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
