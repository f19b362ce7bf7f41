"""Bounds the memory of a command with all that it starts. Used by processes that import nothing else of the package."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOK_EVERY_S = 0.5
_COUNTED = frozenset(("RssAnon", "VmSwap"))
"""Memory of a process's own: not the pages of its programs and libraries, nor address space that it only reserves."""
_SHARED = frozenset(("RssShmem",))
_IN_MEMORY = ("/memfd:", "/dev/shm/", "/SYSV", "/dev/zero")  # noqa: S108 - the kernel calls them so
_KIB, _BLOCK = 1024, 512


def limit_process(most_bytes: int) -> None:
    """Let no process have more than twice as much; between two looks it might. For a process that starts the command.

    Address space that is only reserved does not count (RLIMIT_DATA): browsers, Go, Java and Node reserve far more than
    they use.
    """
    with suppress(ValueError, OSError):  # a limit of this process's own is lower
        resource.setrlimit(resource.RLIMIT_DATA, (2 * most_bytes, 2 * most_bytes))


def used_below(root: int, kept_bytes: int = 0) -> int:
    """Bytes of memory of all processes below this one; 0 where there is no /proc.

    Files in memory count once, whoever has them open; `kept_bytes`: those that need no process. Mapped parts of
    them are counted in the processes too, so the larger sum of the two is taken.
    """
    processes = list(_below(root))
    shared = sum(_used(one, _SHARED) for one in processes)
    files = {key: size for one in processes for key, size in _files_in_memory(one)}
    return sum(_used(one, _COUNTED) for one in processes) + max(shared, sum(files.values()) + kept_bytes)


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


def _files_in_memory(process: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The nameless files that a process has open in memory: device and number, and bytes."""
    with suppress(OSError):
        for one in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                name = str(one.readlink())
                if name.startswith(_IN_MEMORY) and name.endswith(" (deleted)"):
                    status = one.stat()
                    yield (status.st_dev, status.st_ino), status.st_blocks * _BLOCK


def _used(process: int, counted: frozenset[str]) -> int:
    with suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(errors="replace")
        lines = (line.partition(":")[::2] for line in status.splitlines())
        return sum(int(value.split()[0]) for name, value in lines if name in counted) * _KIB
    return 0
