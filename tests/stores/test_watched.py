"""A Redis of several servers in the eyes of `bookstore up`, and of the monitor, which holds no secret."""

import httpx
import pytest

from bookstore.monitor.app import create_app
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.testing import serving
from bookstore.stores import redis_place
from bookstore.stores.redis import redis_command

pytestmark = pytest.mark.long

KEYS = "bookstore:any"


@pytest.fixture
def watched(whole, eventually):
    """How the monitor sees it now; without passwords, but those of Sentinels that want none."""
    for each in whole.watchers:
        assert redis_command(each.url, "ACL", "SETUSER", "default", "nopass") == "+OK"
    whole.url = whole.url.partition("?")[0]
    settings = MonitorSettings(
        targets=f"redis={redis_place.read(whole.url).address}",
        probe_interval=0.2, probe_slow=2.0, probe_patience=4.0, access_log=False,
    )  # fmt: skip
    with serving(lambda: create_app(settings)) as url, httpx.Client(base_url=url, trust_env=False) as client:

        def seen():
            told = client.get("/health_status").json().get("services", {}).get("redis")
            return (told["status"], told["detail"]) if told else ("", "")

        eventually(lambda: seen()[0] == "HEALTHY")
        yield seen


def test_a_master_that_is_gone_is_seen_until_all_is_well_again(whole, watched, eventually):
    gone = eventually(lambda: whole.server_of(KEYS))
    gone.kill()
    word = "the master" if whole.watchers else "nobody takes the connection"
    eventually(lambda: watched()[0] in ("DEGRADED", "UNHEALTHY") and word in watched()[1])
    eventually(lambda: whole.server_of(KEYS) not in {gone, None})
    gone.start()
    eventually(lambda: watched() == ("HEALTHY", ""))


def test_whoever_is_frozen_or_gone_is_named(whole, watched, eventually):
    """One is a degraded store, all are one that is down."""
    asked = whole.watchers or whole.servers
    asked[0].freeze()
    name = f"127.0.0.1:{asked[0].port}"
    eventually(lambda: watched() == ("DEGRADED", f"{name}: takes the connection, and does not answer"))
    asked[0].resume()
    eventually(lambda: watched() == ("HEALTHY", ""))
    for each in asked:
        each.kill()
    eventually(lambda: watched()[0] == "DOWN")


def test_the_whole_system_runs_on_it_and_tells_when_it_is_gone(whole, whole_system, eventually):
    bookstore = whole_system(REDIS_URL=whole.url)
    for each in (*whole.watchers, *whole.servers):
        each.kill()
    eventually(lambda: bookstore.services()["redis"]["health"] == "down")
    again = bookstore.run("doctor")
    assert again.returncode == 1
    assert "Nobody answers as REDIS_URL says, at redis+" in again.stdout
    assert whole.password not in again.stdout
