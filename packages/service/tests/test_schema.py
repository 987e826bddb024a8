"""The schema comes to the revision that the code needs, whoever is at it and however often it fails."""

import asyncio
import os
import subprocess
import sys

import psycopg
import pytest

from bookstore.service.database import Database
from bookstore.service.schema import Schema, SchemaBehind, head
from bookstore.service.testing import soon

ENV = "from bookstore.service.migrate import run\n\nrun()\n"
ENDLESS = """
import os
import threading

revision, down_revision = "0003", "0002"


def upgrade():
    with open({path!r}, "w") as file:
        file.write(str(os.getpid()))
    threading.Event().wait()
"""
STEP = """
from alembic import op

revision, down_revision = {revision!r}, {before!r}


def upgrade():
    op.execute({sql!r})
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two migrations, importable here and in child processes."""
    folder = tmp_path / "shelves"
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "migrations" / "env.py").write_text(ENV)
    steps = {"0001": "CREATE TABLE shelf (id int)", "0002": "ALTER TABLE shelf ADD label text"}
    before = None
    for revision, sql in steps.items():
        (versions / f"{revision}_step.py").write_text(STEP.format(revision=revision, before=before, sql=sql))
        before = revision
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "shelves"
    sys.modules.pop("shelves", None)


def test_the_head_is_read_from_the_names(package):
    assert head(package) == "0002"


async def test_an_empty_database_is_brought_up_and_then_used(package, postgres_database):
    done = []

    async def then():
        done.append(await database.fetch("SELECT label FROM shelf"))

    async with Database(postgres_database) as database:
        schema = Schema(database, package)
        with pytest.raises(SchemaBehind, match="revision none, needed is 0002"):
            await schema.check()
        await schema.prepare(then)
        await schema.check()
    assert done == [[]]


async def test_a_service_is_not_ready_before_what_follows_the_schema_is_done(package, postgres_database):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def then():
        asked.set()
        await go_on.wait()

    async with Database(postgres_database) as database:
        schema = Schema(database, package)
        preparing = asyncio.create_task(schema.prepare(then))
        await asked.wait()
        with pytest.raises(SchemaBehind, match="isn't yet"):
            await schema.check()
        go_on.set()
        await preparing
        await schema.check()


async def test_replicas_that_start_together_do_it_once(package, postgres_database):
    async with Database(postgres_database) as database:
        schemas = [Schema(database, package) for _ in range(3)]
        await asyncio.gather(*(schema.prepare() for schema in schemas))
        assert await database.fetch("SELECT version_num FROM alembic_version") == [("0002",)]


async def test_a_newer_schema_is_fine_for_older_code(package, postgres_database):
    async with Database(postgres_database) as database:
        schema = Schema(database, package)
        await schema.prepare()
        async with database.connection() as connection:
            await connection.execute("UPDATE alembic_version SET version_num = '0003'")
        await schema.check()
        async with database.connection() as connection:
            await connection.execute("UPDATE alembic_version SET version_num = '0001'")
        with pytest.raises(SchemaBehind):
            await schema.check()


async def test_a_service_waits_for_a_database_that_comes_later(package, postgres_server, caplog):
    postgres_server.kill()
    ready = asyncio.Event()

    async def then():
        ready.set()

    async with Database(postgres_server.url) as database:
        schema = Schema(database, package)
        async with schema.preparing(then):
            await soon(lambda: "the database is not ready" in caplog.text)
            assert not ready.is_set()
            postgres_server.start()
            await asyncio.wait_for(ready.wait(), 20)
        await schema.check()


async def test_a_step_that_fails_leaves_nothing_of_it_behind(package, postgres_database, tmp_path):
    broken = tmp_path / "shelves" / "migrations" / "versions" / "0003_step.py"
    sql = "CREATE TABLE half (id int); SELECT 1 / 0"
    broken.write_text(STEP.format(revision="0003", before="0002", sql=sql))
    async with Database(postgres_database) as database:
        schema = Schema(database, package)
        async with schema.preparing():
            with psycopg.connect(postgres_database) as connection:
                for _ in range(3):
                    assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
                    await asyncio.sleep(0.3)
            with pytest.raises(SchemaBehind):
                await schema.check()
        broken.write_text(STEP.format(revision="0003", before="0002", sql="SELECT 1"))
        await schema.prepare()
        await schema.check()


async def test_a_service_that_closes_takes_the_step_under_way_with_it(package, postgres_database, tmp_path):
    step, told = tmp_path / "shelves" / "migrations" / "versions" / "0003_step.py", tmp_path / "pid"
    step.write_text(ENDLESS.format(path=str(told)))
    async with Database(postgres_database) as database:
        async with Schema(database, package).preparing():
            while not (told.exists() and told.read_text()):  # noqa: ASYNC110 - another process does
                await asyncio.sleep(0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(int(told.read_text()), 0)


def migrate(package, **settings):
    """A job, with nothing on its standard input."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "bookstore.service.migrate", package],
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_job_brings_it_up_and_may_be_run_again(package, postgres_database):
    for _ in range(2):
        job = await asyncio.to_thread(migrate, package, DATABASE_URL=postgres_database)
        assert (job.returncode, job.stdout) == (0, "")
    async with Database(postgres_database) as database:
        await Schema(database, package).check()


async def test_one_process_brings_several_databases_up(package, postgres_database):
    lost = "postgresql://user:a-secret@127.0.0.1:1/lost_db"
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "bookstore.service.migrate"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, complained = await job.communicate(f"{package} {postgres_database}\n{package} {lost}\n".encode())
    assert job.returncode == 1
    assert b"refused" in complained
    assert b"a-secret" not in complained
    async with Database(postgres_database) as database:
        await Schema(database, package).check()


def test_a_job_without_a_database_says_so_in_a_line(package):
    job = migrate(package)
    assert (job.returncode, len(job.stderr.splitlines())) == (1, 1)
    assert "DATABASE_URL" in job.stderr
    job = migrate(package, DATABASE_URL="postgresql://user:a-secret@127.0.0.1:1/books_db")
    assert (job.returncode, len(job.stderr.splitlines())) == (1, 1)
    assert "refused" in job.stderr
    assert "a-secret" not in job.stderr
