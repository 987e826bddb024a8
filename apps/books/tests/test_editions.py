"""Conditional requests: what is known is not sent again, and no editor overwrites another unseen."""

from concurrent.futures import ThreadPoolExecutor

import pytest

READS = ["/v1/books/{}", "/v2/books/{}", "/v1/books?limit=1", "/v2/books?limit=1"]


@pytest.mark.parametrize("path", READS)
def test_what_is_known_is_not_sent_again_until_it_changes(own, add, path):
    path = path.format(add(own)["id"])
    for _ in range(2):
        whole = own.get(path)
        etag = whole.headers["etag"]
        assert etag.startswith('"')
        assert whole.headers["cache-control"] == "no-cache"
        for known in (etag, f"W/{etag}", "*", f'"other", {etag}'):
            answer = own.get(path, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content) == (304, b"")
            assert "content-length" not in answer.headers or answer.headers["content-length"] == "0"
            for name in ("etag", "cache-control", "link", "x-total-count"):
                assert answer.headers.get(name) == whole.headers.get(name)
        head = own.head(path, headers={"If-None-Match": etag})
        assert (head.status_code, head.content) == (304, b"")
        assert own.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    own.put("/v1/books/1", json={"price": 77})
    changed = own.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_each_state_and_each_list_has_its_own_tag(own, add):
    add(own)
    add(own)
    paths = ["/v1/books/1", "/v1/books/2", "/v2/books/1", "/v2/books?limit=1", "/v2/books?limit=1&offset=1"]
    assert len({own.get(path).headers["etag"] for path in paths}) == len(paths)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_editor_changes_only_what_it_has_seen(own, add, version):
    path = f"/{version}/books/{add(own)['id']}"
    seen = own.get(path).headers["etag"]
    assert own.put(path, json={"price": 1}, headers={"If-Match": seen}).status_code == 200
    for stale in (seen, f"W/{own.get(path).headers['etag']}", "nonsense"):
        for refused in (
            own.put(path, json={"price": 2}, headers={"If-Match": stale}),
            own.delete(path, headers={"If-Match": stale}),
        ):
            assert refused.status_code == 412
            assert refused.json()["type"] == "urn:bookstore:problem:precondition-failed"
    assert own.get(path).json()["price"] == "1.00"
    for good in (f'"x", {own.get(path).headers["etag"]}', "*"):
        assert own.put(path, json={"title": good[:3]}, headers={"If-Match": good}).status_code == 200
    now = own.get(path).headers["etag"]
    assert own.delete(path, headers={"If-Match": now}).status_code == 200


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_must_not_be_there_is_not_changed(own, add, version):
    path = f"/{version}/books/{add(own)['id']}"
    for known in ("*", own.get(path).headers["etag"]):
        assert own.put(path, json={"price": 7}, headers={"If-None-Match": known}).status_code == 412
        assert own.delete(path, headers={"If-None-Match": known}).status_code == 412
    assert own.put(path, json={"price": 6}, headers={"If-None-Match": '"x"'}).json()["price"] == "6.00"


def test_a_condition_comes_after_everything_else_that_is_wrong(own, add):
    path = f"/v2/books/{add(own)['id']}"
    assert own.put("/v2/books/99", json={"price": 1}, headers={"If-Match": "*"}).status_code == 404
    assert own.put("/v2/books/99", json={"price": 1}, headers={"If-Match": '"x"'}).status_code == 404
    assert own.delete("/v2/books/99", headers={"If-Match": '"x"'}).status_code == 404
    assert own.get("/v2/books/99", headers={"If-None-Match": "*"}).status_code == 404
    assert own.put(path, json={}, headers={"If-Match": '"x"'}).status_code == 422
    assert own.put(path, json={"price": -1}, headers={"If-Match": '"x"'}).status_code == 422


def test_of_many_editors_of_one_state_one_succeeds(own, add):
    path = f"/v2/books/{add(own)['id']}"
    seen = own.get(path).headers["etag"]
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(
            lambda price: own.put(path, json={"price": price}, headers={"If-Match": seen}).status_code,
            range(8),
        )
    assert sorted(statuses) == [200] + [412] * 7
