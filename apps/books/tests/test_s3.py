"""Covers with an S3 service: signatures as Amazon publishes them, and a service that fails in every way."""

import hashlib
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from bookstore.books.covers.signature import NOTHING, Keys, signed
from bookstore.books.settings import BooksSettings
from bookstore.service.settings import SettingsError, load

JPEG = (Path(__file__).parent / "pictures" / "baseline.jpg").read_bytes()
PNG = (Path(__file__).parent / "pictures" / "colours.png").read_bytes()
EXAMPLE = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
HOST = "examplebucket.s3.amazonaws.com"
MAY_24 = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "names", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Host": HOST, "Range": "bytes=0-9"},
            b"",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {
                "Host": HOST,
                "Date": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
            },
            b"Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    ],
)
def test_signatures_are_those_of_amazons_documentation(method, path, headers, body, names, signature):  # noqa: PLR0917
    digest = hashlib.sha256(body).hexdigest()
    sent = signed(method, path, headers, EXAMPLE, sha256=digest, at=MAY_24)
    assert sent["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )
    assert (sent["x-amz-date"], sent["x-amz-content-sha256"]) == ("20130524T000000Z", digest)


def test_what_is_signed_cannot_be_changed():
    def signature(method="GET", path="/covers/1-a", keys=EXAMPLE, sha256=NOTHING, at=MAY_24):
        return signed(method, path, {"host": HOST}, keys, sha256=sha256, at=at)["authorization"][-64:]

    others = [
        signature(method="PUT"),
        signature(path="/covers/1-b"),
        signature(keys=Keys(EXAMPLE.id, "other", EXAMPLE.region)),
        signature(keys=Keys(EXAMPLE.id, EXAMPLE.secret, "eu-central-1")),
        signature(sha256="0" * 64),
        signature(at=datetime(2013, 5, 24, 0, 0, 1, tzinfo=UTC)),
    ]
    assert len({signature(), *others}) == 1 + len(others)


class Service(ThreadingHTTPServer):
    """A service that keeps objects in memory and can be told to fail; it checks hashes, as S3 does."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.objects, self.fails = {}, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answers(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.close_connection = self.server.fails == "cut off"
        self.wfile.write(body[: len(body) // 2] if self.close_connection else body)

    def _refused(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        named = "AWS4-HMAC-SHA256 Credential=key/" in self.headers["Authorization"]
        whole = hashlib.sha256(body).hexdigest() == self.headers["x-amz-content-sha256"]
        if self.server.fails == "500" or not named or not whole or "traceparent" in self.headers:
            self._answers(500, b"<Error/>")
            return True
        self.body = body
        return False

    def do_PUT(self):
        if not self._refused():
            self.server.objects[self.path] = self.body
            self._answers(200)

    def do_GET(self):
        if not self._refused():
            found = self.server.objects.get(self.path)
            self._answers(*((404, b"<Error/>") if found is None else (200, found)))

    def do_DELETE(self):
        if not self._refused():
            self.server.objects.pop(self.path, None)
            self._answers(204)


@pytest.fixture
def s3():
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


NAMED = {"covers_s3_bucket": "covers", "covers_s3_key_id": "key", "covers_s3_secret": "secret"}


@pytest.fixture
def books(database_url, run_books, s3):
    with run_books(database_url, covers_s3_url=s3.url, **NAMED) as client:
        yield client


def test_a_cover_goes_to_the_bucket_and_comes_back(books, add, s3):
    path = f"/v2/books/{add(books)['id']}/cover"
    assert books.put(path, content=JPEG).status_code == 201
    longest = PNG + bytes(10 * 1024 * 1024 - len(PNG))
    assert books.put(path, content=longest).status_code == 200
    [(name, kept)] = s3.objects.items()
    assert name.startswith("/covers/1-")
    assert kept == longest == books.get(path).content
    assert books.delete(path).status_code == 204
    assert s3.objects == {}
    assert books.get(path).status_code == 404


def test_a_service_that_fails_is_503_and_what_it_has_is_not_lost(books, add, s3, check_problem):
    path = f"/v2/books/{add(books)['id']}/cover"
    etag = books.put(path, content=JPEG).headers["etag"]
    s3.fails = "500"
    check_problem(books.get(path), 503, "covers-unavailable")
    check_problem(books.put(path, content=PNG), 503, "covers-unavailable")
    # Who has it already needs no service to be told so.
    assert books.get(path, headers={"If-None-Match": etag}).status_code == 304
    s3.fails = None
    assert books.get(path).content == JPEG
    s3.fails = "500"
    # The book has no cover any more, whatever becomes of the object.
    assert books.delete(path).status_code == 204
    assert books.get(path).status_code == 404


def test_a_cover_that_is_cut_off_on_its_way_is_not_taken_for_a_whole_one(books, add, s3):
    path = f"/v2/books/{add(books)['id']}/cover"
    books.put(path, content=JPEG)
    s3.fails = "cut off"
    with pytest.raises(httpx.RemoteProtocolError):
        books.get(path)
    s3.fails = None
    assert books.get(path).content == JPEG


def test_a_service_that_is_not_there_is_503(books, add, s3, check_problem):
    path = f"/v2/books/{add(books)['id']}/cover"
    s3.server_close()
    s3.shutdown()
    check_problem(books.put(path, content=JPEG), 503, "covers-unavailable")
    assert books.get(path).status_code == 404
    assert books.get("/v1/books/1").status_code == 200


def test_an_s3_service_is_named_with_all_that_it_takes():
    environ = {"DATABASE_URL": "postgresql://a:b@c/d", "COVERS_S3_URL": "http://127.0.0.1:9000"}
    with pytest.raises(SettingsError) as refused:
        load(BooksSettings, "books", environ=environ)
    assert [line.partition(":")[0] for line in refused.value.problems] == [name.upper() for name in NAMED]
    whole = environ | {name.upper(): value for name, value in NAMED.items()}
    assert load(BooksSettings, "books", environ=whole).covers_s3_region == "us-east-1"
    for name, bad in (
        ("COVERS_S3_URL", "127.0.0.1:9000"),
        ("COVERS_S3_BUCKET", "../x"),
        ("COVERS_FOLDER", ""),
    ):
        with pytest.raises(SettingsError, match=name):
            load(BooksSettings, "books", environ=whole | {name: bad})
