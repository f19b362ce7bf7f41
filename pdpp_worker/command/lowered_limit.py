"""Tells the processes of a command from all others by a limit that they can lower and never raise again.

A process can change its name, its session and its environment. Its hard limits go to all that it starts, and only root
raises them. Used by processes that import nothing else of the package.
"""

from __future__ import annotations

import resource
from contextlib import suppress

_LIMIT: int | None = getattr(resource, "RLIMIT_MSGQUEUE", None)
"""Bytes of POSIX message queues, of which one less is missed by nobody; None: this system has no such limit."""
_ONE_LESS_THAN_ENDLESS = 1 << 40


def lower() -> None:
    """Give this process a lower limit than its parent has."""
    if _LIMIT is not None and (hard := _hard(0)):
        limit = int(min(hard - 1, _ONE_LESS_THAN_ENDLESS))
        resource.setrlimit(_LIMIT, (limit, limit))


def is_lower_of(process: int) -> bool:
    """Whether another process has a lower limit than this one, so that it comes from a command."""
    with suppress(OSError):
        return _hard(process) < _hard(0)
    return False


def _hard(process: int) -> float:
    if _LIMIT is None:
        return 0.0
    hard = resource.prlimit(process, _LIMIT)[1]
    return float("inf") if hard == resource.RLIM_INFINITY else float(hard)
