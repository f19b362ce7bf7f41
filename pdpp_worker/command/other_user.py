"""Becomes another user, and ends what runs as one. Used by processes that import nothing else of the package."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PROCESSES = 500
"""Most processes and threads of a user whom one command has for itself; a browser has 200."""
_SWEEPS = 100
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class Identity:
    """A user, as `UID:GID`, or `UID:GID:own` where all its processes are one command's; `-` is this process's own."""

    def __init__(self, text: str) -> None:
        uid, _, rest = text.partition(":")
        gid, _, own = rest.partition(":")
        self.ids = None if text == "-" else (int(uid), int(gid))
        self.is_own = own == "own"


def become(identity: Identity) -> None:
    """Become that user for good: with its rights alone, and with no way to others.

    Raises:
        OSError: this process may not.
    """
    if identity.ids is None:
        return
    uid, gid = identity.ids
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        header, nothing = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
        if libc.capset(header, nothing):
            raise PermissionError(1, "its capabilities cannot be dropped")
    if identity.is_own:
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))


def give_pipes(identity: Identity) -> None:
    """Let that user open this process's pipes by their names, such as /dev/stdout."""
    if identity.ids is not None:
        for descriptor in (0, 1, 2):
            os.fchown(descriptor, *identity.ids)


def leave_network() -> bool:
    """Get a network of this process's own, in which there is nobody; False where only root may."""
    return _unshare(_CLONE_NEWNET)


def leave_network_as_user() -> bool:
    """The same without being root, in a namespace of users where this one is the only one."""
    uid, gid = os.getuid(), os.getgid()
    if not _unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        return False
    with suppress(OSError):  # the program runs without it, with an id that has no name
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    return True


def _unshare(what: int) -> bool:
    return sys.platform == "linux" and bool(ctypes.CDLL(None).unshare(what) == 0)


def sweep(identity: Identity) -> int:
    """Kill all processes of a user whom a command has for itself; returns 1 if some are left."""
    if identity.ids is None or not identity.is_own or identity.ids[0] in (0, os.getuid()):
        return 0
    for _ in range(_SWEEPS):
        sweeper = os.fork()
        if sweeper == 0:
            with suppress(OSError):
                become(identity)
                if os.getuid() == identity.ids[0]:  # as root it would end everything
                    os.kill(-1, signal.SIGKILL)  # all at once: no process that forks can run ahead of it
            os._exit(0)
        os.waitpid(sweeper, 0)
        if not _has_processes(identity.ids[0]):
            return 0
    return 1


def _has_processes(uid: int) -> bool:
    """Whether a process of this user runs; one that has ended and waits for its parent does not."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            lines = dict(line.partition(":")[::2] for line in status.read_text(errors="replace").splitlines())
            if lines["Uid"].split()[0] == str(uid) and lines["State"].split()[0] not in "ZX":
                return True
    return False
