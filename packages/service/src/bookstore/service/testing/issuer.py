"""Signs tokens as accounts does, publishes its keys, and does anything else that a test wants."""

import base64
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from bookstore.service.tokens import AUDIENCE, ISSUER

LIFE = 3600

_ALGORITHMS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}


class Issuer:
    """Has a key of each algorithm, which is called by the algorithm's name.

    Args:
        private: The Ed25519 key; made up if there is none.
        kid: What that key is called.
    """

    def __init__(self, private: ed25519.Ed25519PrivateKey | None = None, kid: str = "EdDSA") -> None:
        self.private: dict[str, Any] = {
            "EdDSA": private or ed25519.Ed25519PrivateKey.generate(),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        }
        self.kids = {"EdDSA": kid, "ES256": "ES256", "RS256": "RS256"}

    def jwk(self, algorithm: str, **more: Any) -> dict[str, Any]:
        """The public key of that algorithm, as it is published."""
        return public_jwk(self.private[algorithm], algorithm) | {"kid": self.kids[algorithm], **more}

    @property
    def document(self) -> bytes:
        """The key set."""
        keys = [self.jwk(algorithm, alg=algorithm, use="sig") for algorithm in self.private]
        return json.dumps({"keys": keys}).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a customer's token says, with some claims changed; `...` leaves one out."""
        now = int(time.time())
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "7",
            "jti": "j",
            "iat": now,
            "exp": now + LIFE,
            "roles": ["customer"],
            "customer_id": 3,
        }
        return {name: value for name, value in (said | changed).items() if value is not ...}

    def token(
        self,
        claims: Mapping[str, Any] | bytes | None = None,
        *,
        algorithm: str = "EdDSA",
        private: Any = None,
        **header: Any,
    ) -> str:
        """A token, put together by hand, so that nothing is too wrong to be made.

        Args:
            claims: What it says, or the bytes that stand in its place.
            algorithm: How it is signed.
            private: Signs in place of our key.
            header: Fields of its header that differ; `...` leaves one out.
        """
        head = {"alg": algorithm, "kid": self.kids[algorithm], "typ": "at+jwt", **header}
        body = claims if isinstance(claims, bytes) else json.dumps(claims or self.claims()).encode()
        part = f"{encoded({name: value for name, value in head.items() if value is not ...})}.{b64(body)}"
        signature = jwt.get_algorithm_by_name(algorithm).sign(
            part.encode(), private or self.private[algorithm]
        )
        return f"{part}.{b64(signature)}"

    def bearer(self, *roles: str, **claims: Any) -> dict[str, str]:
        """The header of somebody with these roles."""
        return {"Authorization": f"Bearer {self.token(self.claims(roles=list(roles), **claims))}"}

    @contextmanager
    def publishing(self) -> Generator[str]:
        """Answer every request with the key set, for as long as the block runs; gives the URL."""
        document = self.document

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by its base
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            thread = Thread(target=server.serve_forever, args=(0.01,), name="issuer")
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def public_jwk(private: Any, algorithm: str) -> dict[str, Any]:
    """The numbers of the public key that belongs to a private one."""
    found: dict[str, Any] = json.loads(_ALGORITHMS[algorithm].to_jwk(private.public_key()))
    return found


def b64(data: bytes) -> str:
    """In base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encoded(value: Any) -> str:
    """A JSON value in base64url."""
    return b64(json.dumps(value).encode())
