"""Privileges of this process: whether it may start programs as another user, and what other processes see of it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7}
"""Capabilities that are needed to start a program as another user, to lend it files, and to end it."""

_STATUS = Path("/proc/thread-self/status")
_PR_SET_DUMPABLE = 4
_PR_CAP_AMBIENT = 47
_RAISE, _CLEAR_ALL = 2, 4


def protect() -> None:
    """Let no other process of the same user read this one's memory and environment, nor its children inherit rights.

    A process that holds secrets calls it first, before it has threads. It takes effect on Linux only.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)
        _prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)


def may_change_user() -> bool:
    """Whether this process may start programs as any user, as root may, or a user with these capabilities."""
    with suppress(OSError):
        lines = dict(line.partition(":")[::2] for line in _STATUS.read_text(encoding="ascii").splitlines())
        held = int(lines["CapEff"], 16)
        return all(held >> number & 1 for number in CAPABILITIES.values())
    return os.geteuid() == 0


@contextmanager
def handed_on() -> Iterator[None]:
    """Let the programs that this thread starts inside the block have its capabilities too; root's have them anyway."""
    if os.geteuid() == 0 or sys.platform != "linux" or not may_change_user():
        yield
        return
    for number in CAPABILITIES.values():
        _prctl(_PR_CAP_AMBIENT, _RAISE, number)
    try:
        yield
    finally:
        _prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)


def _prctl(option: int, *values: int) -> None:
    arguments = (*values, 0, 0, 0, 0)[:4]
    ctypes.CDLL(None, use_errno=True).prctl(option, *(ctypes.c_ulong(value) for value in arguments))
