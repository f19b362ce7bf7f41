"""Runs a command and ends everything that it has started; no orphan is left.

    subreaper.py LIFELINE_FD GRACE_S IDENTITY NETWORK MEMORY FOLDER COUNT PATH... PROGRAM ARGUMENT...
    subreaper.py sweep IDENTITY PATH...

IDENTITY is that of the user that the command runs as; see `other_user`. Where that user has nothing else to do, its
processes are killed before the command begins and after it ended, and by `sweep`. NETWORK is `online` or `offline`.
MEMORY is the most that the command may have with all that it starts, bytes; 0: no limit. FOLDER is where the command
works. COUNT is the number of paths that the user is to reach.

The worker holds the other end of the lifeline, a pipe. It first says the command's environment there, in a line of
JSON. This process has an environment and a working directory of the fleet's: a program's own take effect once the
process that runs it is its user.

The pipe is closed when the worker closes it, ends or is killed; then
the command's process group gets SIGTERM, and SIGKILL after a grace. On Linux this process is a
subreaper: it adopts what leaves that group, so that a command which forks itself away is ended too. Exits as the
command did; 128 + n for signal n.
Imports next to nothing of the package, so that it starts quickly.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":  # it is run by its path
    sys.path.insert(0, str(Path(__file__).parents[2]))

from pdpp_worker.command.leftovers import clear, kept_bytes
from pdpp_worker.command.lowered_limit import lower
from pdpp_worker.command.memory_bound import LOOK_EVERY_S, limit_process, used_below
from pdpp_worker.command.other_user import (
    Identity,
    become,
    give_pipes,
    leave_network,
    leave_network_as_user,
)
from pdpp_worker.command.uncovering import uncover

CANNOT_START = 127
"""Exit code of a command that could not be started."""
CANNOT_BE_OFFLINE = 126
"""Exit code where the kernel gives the command no network of its own."""
TOO_MUCH_MEMORY = 125
"""Exit code of a command that was ended since it had more memory than it may have."""

_ORPHANS_S = 5.0
_LOOK_EVERY_S = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_RESET = (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run the command to its end, or to the end of the lifeline; returns the exit status."""
    if arguments[0] == "sweep":
        return clear(Identity(arguments[1]), arguments[2:])
    lifeline, grace_s, identity = int(arguments[0]), float(arguments[1]), Identity(arguments[2])
    memory, count = int(arguments[4]), int(arguments[6])
    paths, command = arguments[7 : 7 + count], arguments[7 + count :]
    environment = json.loads(_first_line(lifeline))
    clear(identity, paths)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ended = _child_ends()
    place = Place(arguments[5], paths, environment)
    group = _start(command, lifeline, identity, place, memory, offline=arguments[3] == "offline")
    _release_pipes()
    code = _wait(group, lifeline, ended, grace_s, memory, identity)
    _kill(group, signal.SIGKILL)
    clear(identity, paths)
    _end_orphans()
    return code if code >= 0 else 128 - code


class Place(NamedTuple):
    """The surroundings of a command."""

    folder: str
    """Its working directory."""
    paths: Sequence[str]
    """Absolute paths that its user is to reach."""
    environment: Mapping[str, str]


def _first_line(descriptor: int) -> bytes:
    """The line that a pipe begins with; nothing after it is read, and less of it if the pipe is closed."""
    line = bytearray()
    while not line.endswith(b"\n") and (chunk := os.read(descriptor, 1 << 16)):
        line += chunk
    return bytes(line)


def _child_ends() -> int:
    """A pipe that becomes readable when a child ends."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _start(
    command: Sequence[str], lifeline: int, identity: Identity, place: Place, memory: int, *, offline: bool
) -> int:
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        with suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        os.close(lifeline)
        _end_first()
        is_apart = offline and leave_network()
        enter(identity, place.folder, place.paths)
        if offline and not is_apart and not leave_network_as_user():
            os._exit(CANNOT_BE_OFFLINE)
        _die_with(keeper)
        lower()
        if memory:
            limit_process(memory)
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(command[0], list(command), dict(place.environment))  # noqa: S606 - no shell is wanted
    except (OSError, ValueError) as error:  # a variable that holds a NUL is a ValueError
        os.write(2, f"{command[0]}: {error}\n".encode())
    os._exit(CANNOT_START)


def _end_first() -> None:
    """Let a system that runs out of memory end this process before the fleet's own."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


class FolderBarredError(PermissionError):
    """The user may not work in its folder."""


def enter(identity: Identity, folder: str, paths: Sequence[str]) -> None:
    """Become the user who is to reach these paths, then work in `folder`.

    Raises:
        FolderBarredError: the user may not.
        OSError: another step failed.
    """
    if identity.ids is not None:
        uncover(paths, *identity.ids)
        give_pipes(identity)
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # its user may be barred on the way to it
    become(identity)
    try:
        os.fchdir(here)
    except PermissionError:
        raise FolderBarredError(errno.EACCES, os.strerror(errno.EACCES), folder) from None
    finally:
        os.close(here)


def _die_with(keeper: int) -> None:
    """Ask for the end of this process with the end of its parent, even if it kills it; a change of user clears that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(CANNOT_START)


def _release_pipes() -> None:
    """Leave the ends of the pipes to the command: their readers wait until the last holder has closed them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _wait(group: int, lifeline: int, ended: int, grace_s: float, memory: int, identity: Identity) -> int:
    """The command's exit code; the negative number of a signal that ended it."""
    while (status := _reap(group)) is None:
        ready, _, _ = select.select([lifeline, ended], [], [], LOOK_EVERY_S if memory else None)
        if memory and used_below(os.getpid(), kept_bytes(identity)) > memory:
            return TOO_MUCH_MEMORY
        if ended in ready:
            os.read(ended, 4096)
        if lifeline in ready:
            return os.waitstatus_to_exitcode(_end(group, grace_s))
    return os.waitstatus_to_exitcode(status)


def _end(group: int, grace_s: float) -> int:
    _kill(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline:
        if (status := _reap(group)) is not None:
            return status
        time.sleep(_LOOK_EVERY_S)
    return int(signal.SIGKILL)


def _reap(wanted: int) -> int | None:
    """Reap the children that have ended; returns the wait status of the wanted one, if it has ended."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == wanted:
                return found[1]
    return None


def _end_orphans() -> None:
    """Kill the orphans that this process has adopted, and those that it adopts meanwhile."""
    deadline = time.monotonic() + _ORPHANS_S
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            for child in _children():
                with suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(_LOOK_EVERY_S)


def _children() -> list[int]:
    """This process's children; none where there is no /proc."""
    own = os.getpid()
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]
    return []


def _kill(group: int, number: signal.Signals) -> None:
    with suppress(OSError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
