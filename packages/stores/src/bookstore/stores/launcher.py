"""The first moments of every process that we start; runs as a script, on the standard library alone.

It waits on stdin for its order. An end of file without one means that its owner died first: then it ends too.
With an order it ties its life to its owner's, drops root's rights, and becomes the program. A script and not
a `preexec_fn`, because that one is unsafe beside threads.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

PR_SET_PDEATHSIG = 1
CANNOT_START = 127


def main() -> None:
    """Take the order and become the program."""
    text = sys.stdin.read()
    if not text:
        return
    order = json.loads(text)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if order["account"]:
        uid, gid = order["account"]
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, order["orphan_signal"], 0, 0, 0)
        if os.getppid() != order["parent"]:
            return
    try:
        os.execve(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"cannot start {order['argv'][0]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
