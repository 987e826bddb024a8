"""The `bookstore` command, with a topology of stand-ins in place of the real one."""

import json
import os
from pathlib import Path

from bookstore.lab import __main__ as command
from bookstore.lab.system import commands, lifecycle, tools
from bookstore.lab.system.topology import Door, Service, Topology

STANDIN = str(Path(__file__).with_name("standin.py"))


def topology(text):
    rows = json.loads(text)
    for row in rows["services"]:
        row["doors"] = tuple(Door(**door) for door in row.get("doors", ()))
        # A store has a program of its own; whoever names one isn't a stand-in.
        row["run"] = tuple(row.get("run", () if row.get("kind") == "store" else (STANDIN,)))
    services = [Service(**{"offset": number, **row}) for number, row in enumerate(rows["services"])]
    return Topology(
        services=tuple(services), databases=rows.get("databases", {}), members=rows.get("members", {})
    )


if __name__ == "__main__":
    made = topology(os.environ.pop("STANDINS"))
    # Only what a test has installed.
    tools._ALSO_IN = ()
    commands.Start = lambda **options: lifecycle.Start(topology=made, **options)
    command.main()
