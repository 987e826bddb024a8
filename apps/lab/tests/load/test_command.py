"""`bookstore load`: what it says when it can't begin, and what it leaves behind when it is killed."""

import argparse
import asyncio
import signal

import pytest

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.load import command
from bookstore.lab.load.shop import Shop
from bookstore.lab.system.folder import StateFolder


@pytest.fixture
def folder(tmp_path):
    made = StateFolder(tmp_path / "state")
    made.open()
    return made


def asked(**said):
    words = {"rate": None, "seconds": 10.0, "mix": None, "orders": None, "mode": None, "gateway": None}
    words |= {"arrivals": "constant", "seed": 7, "out": None, "json": False}
    return argparse.Namespace(**(words | said))


def test_somebody_else_at_the_gateways_address(toy, folder):
    with pytest.raises(LabError, match=r"that is no bookstore, which answers '\{\}'") as caught:
        command.load(asked(gateway=toy.url), folder)
    assert caught.value.code == Exit.FAILED


def test_a_folder_that_is_a_file(toy, folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="can't be used: File exists") as caught:
        command.load(asked(gateway=toy.url, out=tmp_path / "file"), folder)
    assert caught.value.code == Exit.USAGE


def test_two_runs_in_one_second_have_a_folder_each(folder):
    assert folder.new_run("load") != folder.new_run("load")


@pytest.fixture(autouse=True)
def signals():
    """As they were before: a load takes them over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_supplier_becomes_well_whoever_is_told_to_end(monkeypatch, folder):
    """At once after a SIGTERM; and its mode ends by itself, should nobody be left to end it."""
    told = []

    async def tell(_control, mode, **more):
        told.append((mode, more))

    async def open_shop(_urls):
        return Shop(book=1, copies=1, customer=1, headers={})

    async def generate(*_, **__):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    urls = dict.fromkeys(["books", "gateway", "supplier-control"], "http://127.0.0.1:1")
    made = {"set_mode": tell, "open_shop": open_shop, "generate": generate, "_urls": lambda *_: urls}
    for name, one in made.items():
        monkeypatch.setattr(command, name, one)
    with pytest.raises(KeyboardInterrupt):
        command.load(asked(orders=20, mode="down"), folder)
    assert told == [("down", {"for": 2 + 30}), ("normal", {})]
