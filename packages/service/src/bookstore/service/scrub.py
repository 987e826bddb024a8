"""What must not stand in a log line, whoever wrote it there: addresses of people, tokens, passwords in URLs.

Nobody here logs them on purpose. A message of somebody else's, a database's for one, may repeat what it was
given.
"""

import re
from typing import Final

_HIDDEN: Final = "[hidden]"
_PRIVATE: Final = re.compile(
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
    r"|\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
    r"|(?<=Bearer )[^\s\"\\]+|(?<=Service )[^\s\"\\]{32,}"
    r"|(?<=://)[^/\s:@\"]*:[^/\s@\"]+(?=@)"
)


def scrubbed(line: str) -> str:
    """The line without them."""
    return _PRIVATE.sub(_HIDDEN, line)
