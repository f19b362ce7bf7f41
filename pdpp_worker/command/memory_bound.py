"""Bounds the memory of a command with all that it starts. Used by processes that import nothing else of the package."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOK_EVERY_S = 0.5
_COUNTED = frozenset(("RssAnon", "RssShmem", "VmSwap"))
"""Memory of a process's own: not the pages of its programs and libraries, nor address space that it only reserves."""
_KIB = 1024


def limit_process(most_bytes: int) -> None:
    """Let no process have more than twice as much; between two looks it might. For a process that starts the command.

    Address space that is only reserved does not count (RLIMIT_DATA): browsers, Go, Java and Node reserve far more than
    they use.
    """
    with suppress(ValueError, OSError):  # a limit of this process's own is lower
        resource.setrlimit(resource.RLIMIT_DATA, (2 * most_bytes, 2 * most_bytes))


def used_below(root: int) -> int:
    """Bytes of memory of all processes below this one; 0 where there is no /proc."""
    return sum(map(_used, _below(root)))


def _below(root: int) -> Iterator[int]:
    waiting, seen = [root], {root}
    while waiting:
        found = set(_children(waiting.pop())) - seen
        seen |= found
        waiting += found
        yield from found


def _children(process: int) -> Iterator[int]:
    """The children of all of a process's threads."""
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (thread / "children").read_text().split())


def _used(process: int) -> int:
    with suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(errors="replace")
        lines = (line.partition(":")[::2] for line in status.splitlines())
        return sum(int(value.split()[0]) for name, value in lines if name in _COUNTED) * _KIB
    return 0
