"""PostgreSQL and Redis that speak TLS alone, as distributions build them, with certificates made for a test.

The programs that come in wheels know no TLS. Debian and Ubuntu have Redis in `redis-tools`, under the name
of a tool that is the same program, and no service is started by that.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from bookstore.stores.account import Account, folder_argument
from bookstore.stores.ports import LOOPBACK
from bookstore.stores.postgres import postgres_answers
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import Program
from bookstore.stores.redis import Redis, redis_answers

HBA = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
"""Who comes without TLS is refused."""
ADMINISTRATOR = "postgres"
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def postgres_programs():
    """The folder with a distribution's PostgreSQL, the newest; None if there is none with TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda each: int(each.parts[4]))
    return found[-1].parent if found else None


def redis_program():
    """A distribution's Redis, which is a server if it is called by that name."""
    return shutil.which("redis-check-rdb")


@dataclass(frozen=True)
class Authority:
    """Signs certificates; its own is in `path`."""

    folder: Path

    @property
    def path(self):
        return self.folder / "ca.pem"

    def certify(self, name, host):
        """A key and a certificate for `host`, as texts."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        kind = "IP" if host == LOOPBACK else "DNS"
        self._do("req", "-new", *_new_key(key), "-subj", f"/CN={name}", "-out", request,
                 "-addext", f"subjectAltName={kind}:{host}")  # fmt: skip
        signing = "-CA", self.path, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "2"
        self._do("x509", "-req", "-in", request, *signing, "-copy_extensions", "copy", "-out", certificate)
        return key.read_text(), certificate.read_text()

    @classmethod
    def make(cls, folder):
        """A new one, which nobody trusts yet."""
        folder.mkdir()
        authority = cls(folder)
        authority._do("req", "-x509", *_new_key(folder / "ca.key"), "-subj", f"/CN={folder.name}",
                      "-days", "2", "-out", authority.path)  # fmt: skip
        return authority

    @staticmethod
    def _do(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def _new_key(path):
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path


def _place(folder, account, key, certificate):
    """Put both where the server may read them."""
    write_private(folder / "server.key", key, account)
    write_private(folder / "server.pem", certificate, account)


@dataclass(frozen=True, kw_only=True)
class SecureRedis(Redis):
    """One that listens for TLS and nothing else."""

    key: str
    certificate: str
    authority: Path

    @property
    def url(self):
        """For those who trust the authority."""
        options = urlencode({"ssl_ca_certs": self.authority}, safe="/")
        return f"rediss://:{self.password}@{LOOPBACK}:{self.port}/0?{options}"

    def prepare(self):
        """Write its files."""
        replace(self, settings=self.settings | _tls_of_redis(self.port))._write()
        _place(self.folder, self.account, self.key, self.certificate)
        name = self.folder / "redis-server"
        if not name.is_symlink():
            name.symlink_to(redis_program())

    def _write(self):
        super().prepare()

    def program(self):
        """The same process, of the other program."""
        program = super().program()
        argv = [f"{folder_argument(self.folder, self.account)}/redis-server", *program.argv[1:]]
        return replace(program, argv=argv)

    def answers(self, timeout=1.0):
        """Whether it answers now, whoever it says it is."""
        return redis_answers(f"{self.url}&ssl_cert_reqs=none", timeout)


def _tls_of_redis(port):
    return {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": "server.pem",
        "tls-key-file": "server.key",
        "tls-ca-cert-file": "server.pem",
        "tls-auth-clients": "no",
    }


@dataclass(frozen=True, kw_only=True)
class SecurePostgres:
    """A distribution's PostgreSQL with an empty database, which refuses whoever comes without TLS.

    Its account must reach its folder by its path: up to 15, `initdb` can't be told of it in any other way.
    """

    folder: Path
    port: int
    password: str
    key: str
    certificate: str
    authority: Path
    account: Account | None = None

    @property
    def url(self):
        """The administrator's, for those who trust the authority."""
        options = urlencode({"sslmode": "verify-full", "sslrootcert": self.authority}, safe="/")
        return f"postgresql://{ADMINISTRATOR}:{self.password}@{LOOPBACK}:{self.port}/postgres?{options}"

    def prepare(self):
        """Make its data, once."""
        if self.folder.exists():
            return
        make_private_folder(self.folder, self.account)
        write_private(self.folder / "password", self.password, self.account)
        command = [
            postgres_programs() / "initdb", f"--pgdata={self.folder}/data", f"--username={ADMINISTRATOR}",
            f"--pwfile={self.folder}/password", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-sync",
        ]  # fmt: skip
        who = {"user": self.account.uid, "group": self.account.gid} if self.account else {}
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, env=ENVIRONMENT, **who)
        data = self.folder / "data"
        _place(data, self.account, self.key, self.certificate)
        write_private(data / "pg_hba.conf", HBA, self.account)
        settings = {
            "port": self.port, "listen_addresses": LOOPBACK, "unix_socket_directories": "", "fsync": "off",
            "ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key",
        }  # fmt: skip
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        write_private(data / "postgresql.conf", lines, self.account)

    def program(self):
        """The server's process."""
        return Program(
            argv=[str(postgres_programs() / "postgres"), "-D", f"{self.folder}/data"],
            folder=self.folder,
            environment=ENVIRONMENT,
            account=self.account,
        )

    def answers(self, timeout=1.0):
        """Whether it takes connections now."""
        return postgres_answers(LOOPBACK, self.port, timeout)
