"""Covers over HTTP, kept in a folder: put, shown, replaced, taken away, and all that is refused."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bookstore.service.testing import eventually

PICTURES = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "pictures").iterdir())}
JPEG, PNG = PICTURES["baseline.jpg"], PICTURES["colours.png"]
LIMIT = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("covers") / "not yet there"


@pytest.fixture(scope="module")
def gallery(books_template, run_books, folder):
    with books_template.fresh() as url, run_books(url, covers_folder=str(folder)) as client:
        yield client


@pytest.fixture
def path(gallery, add):
    return f"/v2/books/{add(gallery)['id']}/cover"


def _kept(folder):
    """The files of all covers; nothing that is half-done may stay."""
    assert [*(folder / "incoming").iterdir()] == []
    return {each for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("baseline.jpg", "image/jpeg"), ("progressive.jpg", "image/jpeg"), ("colours.png", "image/png"),
        ("lossy.webp", "image/webp"), ("extended.webp", "image/webp"), ("plain.avif", "image/avif"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", [None, "image/gif", "text/html"])
def test_a_cover_is_what_its_content_is_whatever_it_is_called(gallery, path, name, media_type, declared):
    headers = {"Content-Type": declared, "Content-Disposition": 'attachment; filename="../../x.php"'}
    made = gallery.put(
        path, content=PICTURES[name], headers={key: value for key, value in headers.items() if value}
    )
    assert (made.status_code, made.headers["location"]) == (201, path)
    assert made.json() == {
        "book_id": int(path.split("/")[3]),
        "media_type": media_type,
        "width": 7,
        "height": 5,
        "size_bytes": len(PICTURES[name]),
    }
    shown = gallery.get(path)
    assert (shown.status_code, shown.content) == (200, PICTURES[name])
    assert shown.headers["content-type"] == media_type
    assert shown.headers["content-length"] == str(len(PICTURES[name]))
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["etag"] == made.headers["etag"]


def test_a_cover_is_shown_again_only_if_it_has_changed(gallery, path):
    etag = gallery.put(path, content=JPEG).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = gallery.get(path, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    for known in ('"other"', etag.strip('"'), ""):
        assert gallery.get(path, headers={"If-None-Match": known}).status_code == 200
    assert gallery.put(path, content=PNG).headers["etag"] != etag
    assert gallery.get(path, headers={"If-None-Match": etag}).content == PNG


def test_one_of_several_tags_in_several_headers_is_enough(gallery, path):
    etag = gallery.put(path, content=JPEG).headers["etag"]
    headers = [("If-None-Match", '"other"'), ("If-None-Match", etag)]
    assert gallery.get(path, headers=headers).status_code == 304


def test_a_cover_is_changed_only_if_it_is_as_the_caller_thinks(gallery, path, folder, check_problem):
    def refused(method, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = gallery.request(method, path, content=PNG if method == "PUT" else None, headers=names)
        check_problem(answer, 412, "precondition-failed")

    before = _kept(folder)
    refused("PUT", If_Match="*")
    first = gallery.put(path, content=JPEG, headers={"If-None-Match": "*"})
    assert first.status_code == 201
    seen = first.headers["etag"]
    refused("PUT", If_None_Match="*")
    refused("PUT", If_Match='"other"')
    refused("DELETE", If_Match='"other"')
    refused("DELETE", If_None_Match=seen)
    assert gallery.get(path).content == JPEG
    assert len(_kept(folder) - before) == 1
    assert gallery.put(path, content=PNG, headers={"If-Match": seen}).status_code == 200
    refused("PUT", If_Match=seen)
    refused("DELETE", If_Match=seen)
    now = gallery.get(path).headers["etag"]
    assert gallery.delete(path, headers={"If-Match": now}).status_code == 204
    check_problem(gallery.delete(path, headers={"If-Match": "*"}), 404, "not-found")


def test_of_many_who_give_a_book_its_first_cover_one_succeeds(gallery, path):
    with ThreadPoolExecutor(6) as pool:
        puts = pool.map(
            lambda _: gallery.put(path, content=PNG, headers={"If-None-Match": "*"}).status_code, range(6)
        )
    assert sorted(puts) == [201] + [412] * 5


def test_head_tells_of_a_cover(gallery, path):
    gallery.put(path, content=JPEG)
    answer = gallery.head(path)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/jpeg", b"")


def test_a_cover_is_replaced_and_the_one_before_leaves_nothing(gallery, path, folder):
    before = _kept(folder)
    assert gallery.put(path, content=JPEG).status_code == 201
    replaced = gallery.put(path, content=PNG)
    assert replaced.status_code == 200
    assert "location" not in replaced.headers
    assert gallery.put(f"{path}/", content=PNG).status_code == 200
    assert gallery.get(f"{path}/").content == PNG
    [one] = _kept(folder) - before
    assert one.read_bytes() == PNG
    gone = gallery.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert _kept(folder) == before


def test_what_has_no_cover_is_404(gallery, path, check_problem):
    check_problem(gallery.get(path), 404, "not-found")
    check_problem(gallery.delete(path), 404, "not-found")
    gallery.put(path, content=JPEG)
    gallery.delete(path)
    check_problem(gallery.get(path, headers={"If-None-Match": "*"}), 404, "not-found")
    check_problem(gallery.delete(path), 404, "not-found")


def test_a_deleted_book_has_no_cover(gallery, path, check_problem):
    gallery.put(path, content=JPEG)
    etag = gallery.get(path).headers["etag"]
    gallery.delete(path.removesuffix("/cover"))
    check_problem(gallery.get(path), 404, "not-found")
    check_problem(gallery.get(path, headers={"If-None-Match": etag}), 404, "not-found")
    check_problem(gallery.put(path, content=JPEG), 404, "not-found")
    check_problem(gallery.delete(path), 404, "not-found")


@pytest.mark.parametrize("book_id", ["0", "-1", "abc", "1.0", "9223372036854775808", "999999999", ".."])
def test_what_is_no_book_has_no_cover(gallery, book_id):
    for method in ("GET", "PUT", "DELETE"):
        answer = gallery.request(method, f"/v2/books/{book_id}/cover", content=JPEG)
        assert answer.status_code in ({404, 405} if book_id == ".." else {404})


BAD = {
    "nothing": b"",
    "text": b"cover",
    "HTML": b"<html><script>alert(1)</script></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "GIF": b"GIF89a\x07\x00\x05\x00\x80\x00\x00;",
    "multipart": b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + JPEG + b"\r\n--x--\r\n",
    "half a header": JPEG[:100],
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_picture_is_415_and_changes_nothing(gallery, path, folder, check_problem, what):
    gallery.put(path, content=PNG)
    before = _kept(folder)
    refused = gallery.put(path, content=BAD[what], headers={"Content-Type": "image/jpeg"})
    check_problem(refused, 415, "unsupported-media-type")
    assert gallery.get(path).content == PNG
    assert _kept(folder) == before


def test_ten_mebibytes_are_taken_and_one_byte_more_is_413(gallery, path, folder, check_problem):
    longest = PNG + bytes(LIMIT - len(PNG))
    assert gallery.put(path, content=longest).status_code == 201
    assert gallery.get(path).content == longest
    before = _kept(folder)

    def pieces(content):
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    assert gallery.put(path, content=pieces(longest)).status_code == 200
    check_problem(gallery.put(path, content=longest + b"x"), 413)
    check_problem(gallery.put(path, content=pieces(longest + b"x")), 413)
    assert gallery.get(path).content == longest
    assert len(_kept(folder)) == len(before)
    # Other bodies stay as short as they were.
    check_problem(gallery.put(path.removesuffix("/cover"), json={"title": " " * 2_000_000}), 413)


def test_of_covers_that_come_at_once_one_stays_whole(gallery, path, folder):
    before = _kept(folder)
    contents = [PNG + bytes([number]) * 300_000 for number in range(8)]
    with ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(gallery.get, path) for _ in range(30)]
        writers = [pool.submit(gallery.put, path, content=content) for content in contents]
        readers += [pool.submit(gallery.get, path) for _ in range(30)]
        assert sorted(writer.result().status_code for writer in writers) == [200] * 7 + [201]
        for reader in readers:
            answer = reader.result()
            assert answer.status_code == 404 or answer.content in contents
    [one] = _kept(folder) - before
    assert one.read_bytes() == gallery.get(path).content
    assert one.read_bytes() in contents


def test_who_waits_to_replace_a_cover_keeps_nobody_from_seeing_it(books_template, run_books, add, tmp_path):
    with books_template.fresh() as url, run_books(url, covers_folder=str(tmp_path)) as gallery:
        path = f"/v2/books/{add(gallery)['id']}/cover"
        assert gallery.put(path, content=JPEG).status_code == 201
        with psycopg.connect(url) as other, ThreadPoolExecutor(12) as pool:
            other.execute("SELECT FROM books FOR UPDATE")
            writers = [pool.submit(gallery.put, path, content=PNG) for _ in range(9)]
            with psycopg.connect(url, autocommit=True) as observer:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                eventually(lambda: observer.execute(waiting).fetchone() == (2,))
            assert gallery.get(path).content == JPEG
            assert not any(writer.done() for writer in writers)
            other.rollback()
        assert {writer.result().status_code for writer in writers} == {200}
        assert gallery.get(path).content == PNG


def test_a_client_that_leaves_in_mid_body_leaves_nothing(gallery, path, folder):
    def pieces():
        yield PNG + bytes(600_000)
        eventually(lambda: [*(folder / "incoming").iterdir()])
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        gallery.put(path, content=pieces(), headers={"Content-Length": "2000000"})
    eventually(lambda: not [*(folder / "incoming").iterdir()])
    assert gallery.get(path).status_code == 404


def test_a_body_that_stands_still_is_given_up(gallery, path, folder, monkeypatch, check_problem):
    monkeypatch.setattr("bookstore.books.covers.api.PATIENCE", 0.2)
    body = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode() + PNG
    with socket.create_connection((gallery.base_url.host, gallery.base_url.port), timeout=10) as slow:
        slow.sendall(body)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    eventually(lambda: not [*(folder / "incoming").iterdir()])
    check_problem(gallery.get(path), 404)


def test_a_folder_that_takes_nothing_is_503_and_the_rest_works(
    database_url, run_books, add, check_problem, tmp_path
):
    blocked = tmp_path / "covers"
    blocked.write_text("no folder")
    with run_books(database_url, covers_folder=str(blocked)) as client:
        book = add(client)
        refused = client.put(f"/v2/books/{book['id']}/cover", content=JPEG)
        assert str(tmp_path) not in check_problem(refused, 503, "covers-unavailable")["detail"]
        assert client.get(f"/v1/books/{book['id']}").status_code == 200
        blocked.unlink()
        assert client.put(f"/v2/books/{book['id']}/cover", content=JPEG).status_code == 201
        # Somebody has thrown the file away.
        for each in blocked.glob("*-*"):
            each.unlink()
        check_problem(client.get(f"/v2/books/{book['id']}/cover"), 404)


def test_what_a_process_that_died_has_left_is_swept_away_at_the_next_start(database_url, run_books, tmp_path):
    incoming = tmp_path / "covers" / "incoming"
    incoming.mkdir(parents=True)
    old, new, other = (incoming / name for name in ("old.part", "new.part", "old.txt"))
    for each in (old, new, other):
        each.write_bytes(JPEG)
    for each in (old, other):
        os.utime(each, (time.time() - 4000, time.time() - 4000))
    with run_books(database_url, covers_folder=str(tmp_path / "covers")):
        assert sorted(incoming.iterdir()) == [new, other]


def test_where_a_token_is_required_only_staff_may_change_covers(books_template, run_books, tmp_path):
    with (
        books_template.fresh() as url,
        run_books(url, auth_required=True, covers_folder=str(tmp_path)) as client,
    ):
        assert client.put("/v2/books/1/cover", content=JPEG).status_code == 401
        assert client.delete("/v2/books/1/cover").status_code == 401
        assert client.get("/v2/books/1/cover").status_code == 404
