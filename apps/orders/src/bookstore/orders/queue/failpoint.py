"""Places where the process can be made to die, or to freeze, between two durable steps.

`FAILPOINT=validate.claim:kill` kills the process (SIGKILL) when it gets to the place of that name, `:stop`
freezes it there (SIGSTOP) until somebody sends SIGCONT. For tests: without the variable a place costs
nothing.
"""

import os
import signal
from typing import Final, Literal

Step = Literal["commit", "sweep", "mark", "ring", "read", "claim", "call", "finish", "ack"]
"""What was done last. An order committed; due rows looked for, marked as published, the bell rung; an entry
read, its job claimed, the call made, its outcome committed, the entry removed."""

_name, _, _action = os.environ.get("FAILPOINT", "").partition(":")
ARMED: Final = bool(_name)
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def reach(place: str, step: Step) -> None:
    """Tell that the process is at `place.step`."""
    if ARMED and _name == f"{place}.{step}":
        os.kill(os.getpid(), _SIGNALS[_action])
