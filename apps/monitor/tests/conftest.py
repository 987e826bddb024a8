"""A monitor as it is served, and its targets."""

from contextlib import ExitStack, contextmanager

import httpx
import pytest

from bookstore.monitor.app import create_app
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.testing import eventually, serving

from .house import Accounts
from .stand import INTERVAL, Stand


@pytest.fixture
def stand():
    """Makes a target; all are closed in the end."""
    with ExitStack() as stack:

        def make(**answers):
            target = Stand()
            stack.callback(target.close)
            target.answers |= {("*" if path == "all" else f"/{path}"): told for path, told in answers.items()}
            return target

        yield make


class Monitor(httpx.Client):
    """A client of a monitor."""

    def services(self):
        return self.get("/health_status").raise_for_status().json()["services"]

    def states(self):
        """Every service's state; nothing before the first round is over."""
        status = self.get("/health_status")
        return {name: each["status"] for name, each in status.json().get("services", {}).items()}

    def sees(self, **states):
        """Wait until services are seen as this, and give all that is seen then."""
        wanted = {name.replace("_", "-"): state for name, state in states.items()}
        return eventually(lambda: (seen := self.states()) and wanted.items() <= seen.items() and seen)


@contextmanager
def watching(targets, **settings):
    """A monitor of these targets, and its client."""
    told = {"probe_interval": INTERVAL, "probe_slow": 0.3, "probe_patience": 0.9, "access_log": False}
    urls = " ".join(f"{name}={getattr(target, 'url', target)}" for name, target in targets.items())
    made = MonitorSettings(targets=urls, **(told | settings))
    with (
        serving(lambda: create_app(made)) as url,
        Monitor(base_url=url, trust_env=False, timeout=20) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def accounts():
    """Who knows people, and signs tokens."""
    accounts = Accounts()
    yield accounts
    accounts.close()


@pytest.fixture(scope="module")
def shared():
    """A monitor for those who don't care whom it watches."""
    target = Stand()
    with watching({"books": target}) as client:
        yield client
    target.close()


@pytest.fixture
def watched():
    """Starts a monitor of targets by name."""
    with ExitStack() as stack:
        yield lambda settings=None, **targets: stack.enter_context(watching(targets, **(settings or {})))
