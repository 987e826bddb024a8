"""The topology made concrete: what exactly runs, where, and with which settings."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bookstore.lab.system import credentials as names
from bookstore.lab.system.addresses import addresses_of, port_of
from bookstore.lab.system.credentials import Credentials
from bookstore.lab.system.environment import PLATFORM, environment
from bookstore.lab.system.members import Member
from bookstore.lab.system.outside import checked, named
from bookstore.lab.system.ports import Claims, choose_ports
from bookstore.lab.system.prerequisites import libfaketime
from bookstore.lab.system.probe import ELSEWHERE
from bookstore.lab.system.record import Row
from bookstore.lab.system.tools import Surroundings, own_spans, tool_of, traces_to
from bookstore.lab.system.topology import ACCOUNTS
from bookstore.lab.system.ways import led, only_here, wiring
from bookstore.stores.account import unprivileged
from bookstore.stores.postgres import Postgres
from bookstore.stores.process import Program
from bookstore.stores.provision import Database
from bookstore.stores.redis import Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bookstore.lab.system.folder import StateFolder
    from bookstore.lab.system.topology import Service, Topology
    from bookstore.stores.process import ProcessId

# An app announces its end for 3 s, finishes its requests within 10 more, and then gets a moment to leave.
APP_STOP_SECONDS = 15.0
STORE_STOP_SECONDS = 10.0
TOOL_STOP_SECONDS = 5.0


@dataclass
class Part:
    """One instance: its rows in the record, its own and its doors', and the process behind them."""

    row: Row
    doors: list[Row] = field(default_factory=list[Row])
    stop_seconds: float = APP_STOP_SECONDS
    store: Postgres | Redis | None = None
    configure: Callable[[], object] | None = None
    keeps_data: bool = False
    """Whether it is one that has a database."""
    app: Program | None = None

    @property
    def rows(self) -> list[Row]:
        """All that is shown of it."""
        return [self.row, *self.doors]

    def started(self, identity: ProcessId) -> None:
        """Note its new process."""
        for row in self.rows:
            row.pid, row.started, row.since = identity.pid, identity.started, time.time()
            row.ready, row.note = False, ""

    def ended(self) -> None:
        """Note that it has no process."""
        for row in self.rows:
            row.pid, row.ready = None, False

    def ready(self) -> None:
        """Note that its process is healthy."""
        for row in self.rows:
            row.ready = True

    def prepare(self) -> None:
        """Whatever must be done before each start."""
        if self.store is not None:
            self.store.prepare()
        if self.configure is not None:
            self.configure()

    @property
    def program(self) -> Program:
        """What to start."""
        if self.app is not None:
            return self.app
        if self.store is not None:
            return self.store.program()
        raise LookupError(self.row.instance)


@dataclass
class Plan:
    """All parts, their claims on ports, the rows of what runs elsewhere; databases and people to make."""

    folder: StateFolder
    claims: Claims
    parts: list[Part] = field(default_factory=list[Part])
    elsewhere: list[Row] = field(default_factory=list[Row])
    administrator_url: str = ""
    databases: list[Database] = field(default_factory=list[Database])
    tables: dict[str, str] = field(default_factory=dict[str, str])
    members: list[Member] = field(default_factory=list[Member])
    members_made: frozenset[str] = frozenset()


def make_plan(
    topology: Topology,
    folder: StateFolder,
    claims: Claims,
    *,
    port_base: int | None = None,
    caller: Mapping[str, str] = os.environ,
) -> Plan:
    """Choose stores, ports and passwords, and write each instance's settings.

    Raises:
        LabError: a setting is bad, a store of the user's isn't reachable, or a demanded port is taken.
    """
    outside = {name: checked(variable, url) for name, (variable, url) in named(caller).items()}
    topology = only_here(topology, outside)
    ports = choose_ports(topology, claims, base=port_base, outside=frozenset(outside))
    topology = led(topology, ports)
    own_stores = [s.name for s in topology.services if s.kind == "store" and s.name not in outside]
    users = [*own_stores, *topology.databases.values(), names.SERVICES, names.DESK]
    credentials = Credentials.load(folder.credentials, users, topology.members)
    secret = credentials.passwords
    stores = {name: _store(name, folder, ports[name], secret) for name in own_stores}

    plan = Plan(folder, claims)
    store_urls = {**{name: store.url for name, store in stores.items()}, **outside}
    addresses = addresses_of(topology, ports, store_urls)
    plan.administrator_url = addresses.get("postgres", "")
    plan.databases = _databases(topology, secret)
    plan.tables = dict(topology.tables)
    plan.members = [
        Member(email=email, role=role, password=credentials.accounts[email])
        for email, role in topology.members.items()
    ]
    plan.members_made = frozenset(credentials.accounts_made)
    addresses[names.SERVICES] = secret[names.SERVICES]
    caller = {**traces_to(ports), **caller}
    addresses |= {
        "desk_secret": secret[names.DESK],
        "state": str(folder.path.absolute()),
        "ways": wiring(topology, ports),
        "libfaketime": libfaketime() or "",
        "jaeger": f"http://127.0.0.1:{ports['jaeger']}" if "jaeger" in ports else "",
        "own_spans": own_spans(addresses.get("monitor", ""), caller),
    }
    addresses |= {database.name: database.url(plan.administrator_url) for database in plan.databases}
    for service in topology.services:
        if service.name in outside:
            plan.elsewhere.append(_row_elsewhere(service, outside[service.name]))
        elif service.kind == "store":
            url, port = addresses[service.name], ports[service.name]
            row = Row(name=service.name, instance=service.name, kind="store", url=url, port=port)
            plan.parts.append(Part(row, stop_seconds=STORE_STOP_SECONDS, store=stores[service.name]))
        elif service.kind == "tool" and not service.run:
            plan.parts.append(_tool(service, Surroundings(topology, ports, folder.observe), caller))
        else:
            plan.parts += [
                _app(service, instance, ports=ports, folder=folder, addresses=addresses, caller=caller)
                for instance in service.instances()
            ]
    if port_base is None:
        _note_usual_ports(plan, topology)
    return plan


def _note_usual_ports(plan: Plan, topology: Topology) -> None:
    """Have the rows of first instances know the ports that they usually have."""
    firsts = {service.instances()[0]: service.port for service in topology.services}
    firsts |= {s.named(door.name)[0]: door.port for s in topology.services for door in s.doors}
    for part in plan.parts:
        for row in part.rows:
            row.wanted = firsts.get(row.instance)


def migration(folder: StateFolder, caller: Mapping[str, str] = os.environ) -> Program:
    """The program that gives new databases their tables; it is told which on its standard input."""
    return Program(
        argv=[sys.executable, "-P", "-m", "bookstore.service.migrate"],
        folder=folder.path,
        environment={name: caller[name] for name in PLATFORM if name in caller},
    )


def accounts_command(
    topology: Topology, folder: StateFolder, addresses: Mapping[str, str], caller: Mapping[str, str]
) -> Program:
    """The accounts service's own command, for the database on the PostgreSQL that is among `addresses`."""
    service = topology.service(ACCOUNTS)
    secret = Credentials.load(folder.credentials, topology.databases.values()).passwords
    administrator_url = addresses[names.POSTGRES]
    databases = {database.name: database.url(administrator_url) for database in _databases(topology, secret)}
    known = {**addresses, **databases}
    settings = environment(service, f"{ACCOUNTS}-command", {"PORT": service.port}, known, caller)
    return _program(service, folder, settings)


def _databases(topology: Topology, secret: Mapping[str, str]) -> list[Database]:
    return [Database(name, owner, secret[owner]) for name, owner in topology.databases.items()]


def _store(name: str, folder: StateFolder, port: int, secret: Mapping[str, str]) -> Postgres | Redis:
    kind = {names.POSTGRES: Postgres, names.REDIS: Redis}[name]
    return kind(folder=folder.path / name, port=port, password=secret[name], account=unprivileged())


def _app(
    service: Service,
    instance: str,
    *,
    ports: Mapping[str, int],
    folder: StateFolder,
    addresses: Mapping[str, str],
    caller: Mapping[str, str],
) -> Part:
    row = _row(service, service.name, instance, ports)
    place = service.instances().index(instance)
    doors = {
        door.setting: _row(service, door.name, service.named(door.name)[place], ports, door_of=instance)
        for door in service.doors
    }
    settings = environment(
        service,
        row.instance,
        {"PORT": row.port, **{setting: door.port for setting, door in doors.items()}},
        {**addresses, "folder": str(folder.kept(row.instance))},
        caller,
    )
    program = _program(service, folder, settings)
    return Part(row, [*doors.values()], app=program, keeps_data="DATABASE_URL" in service.settings)


def _tool(service: Service, around: Surroundings, caller: Mapping[str, str]) -> Part:
    tool = tool_of(service.name)
    row, *doors = (
        Row(
            name=name,
            instance=name,
            kind=service.kind,
            url=f"http://127.0.0.1:{around.ports[name]}",
            port=around.ports[name],
            door_of="" if name == service.name else service.name,
        )
        for name in (service.name, *(door.name for door in service.doors))
    )
    program = Program(
        argv=tool.command(around),
        folder=around.folder,
        environment={**{name: caller[name] for name in PLATFORM if name in caller}, **tool.settings(around)},
    )
    return Part(
        row,
        doors,
        stop_seconds=TOOL_STOP_SECONDS,
        app=program,
        configure=lambda: tool.configure(around),
    )


def _program(service: Service, folder: StateFolder, settings: Mapping[str, str]) -> Program:
    return Program(
        # -P: the working folder is no place to import from.
        argv=[sys.executable, "-P", *service.run],
        # Not the caller's folder, whose .env is meant for an app that is started alone.
        folder=folder.path,
        environment=settings,
    )


def _row(service: Service, name: str, instance: str, ports: Mapping[str, int], *, door_of: str = "") -> Row:
    port = ports[instance]
    url = f"http://127.0.0.1:{port}"
    return Row(name=name, instance=instance, kind=service.kind, url=url, port=port, door_of=door_of)


def _row_elsewhere(service: Service, url: str) -> Row:
    return Row(
        name=service.name,
        instance=service.name,
        kind=service.kind,
        url=url,
        port=port_of(url),
        note=ELSEWHERE,
    )
