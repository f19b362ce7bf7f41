"""Advisory file locks that the kernel releases with the process, however it ends.

A lock is released by closing its descriptor, never by unlocking: a forked child shares the descriptor's lock, and
must be able to close its copy without taking the lock from its parent.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_S = 0.05


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Lock a file, created if missing, without waiting: its descriptor, or None when somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor


def lock(path: Path, *, shared: bool = False, timeout_s: float) -> int:
    """Lock a file, waiting for at most `timeout_s` seconds: its descriptor.

    Raises:
        TimeoutError: somebody else held it all the while.
    """
    deadline = time.monotonic() + timeout_s
    while (descriptor := try_lock(path, shared=shared)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} stayed locked for {timeout_s:.0f} s.")
        time.sleep(_RETRY_S)
    return descriptor


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold a file's exclusive lock inside the block; raises TimeoutError as `lock` does."""
    descriptor = lock(path, timeout_s=timeout_s)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's exclusive lock."""
    descriptor = try_lock(path, shared=True)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
