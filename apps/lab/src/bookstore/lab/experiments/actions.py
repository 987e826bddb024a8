"""What experiments do to a system, by the names that definitions use."""

from __future__ import annotations

from bookstore.lab.experiments.faults.clock import move_clock
from bookstore.lab.experiments.faults.crowd import crowd, slow_clients
from bookstore.lab.experiments.faults.network import cut, mend, toxic
from bookstore.lab.experiments.faults.postgres import (
    exhaust_connections,
    lock_table,
    terminate_backends,
)
from bookstore.lab.experiments.faults.processes import freeze, kill, terminate, thaw
from bookstore.lab.experiments.faults.redis import (
    redis_destroy_groups,
    redis_disk_full,
    redis_flush,
    redis_kill_clients,
    redis_pause,
    redis_shutdown,
)
from bookstore.lab.experiments.faults.restore import let_go, restore
from bookstore.lab.experiments.faults.supplier import supplier_mode
from bookstore.lab.experiments.faults.worker import crash_matrix, freeze_worker_past_its_lease

__all__ = [
    "crash_matrix",
    "crowd",
    "cut",
    "exhaust_connections",
    "freeze",
    "freeze_worker_past_its_lease",
    "kill",
    "let_go",
    "lock_table",
    "mend",
    "move_clock",
    "redis_destroy_groups",
    "redis_disk_full",
    "redis_flush",
    "redis_kill_clients",
    "redis_pause",
    "redis_shutdown",
    "restore",
    "slow_clients",
    "supplier_mode",
    "terminate",
    "terminate_backends",
    "thaw",
    "toxic",
]
