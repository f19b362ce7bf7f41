"""Become another program that ends when its parent does.

    parent_death.py PARENT_PID SIGNAL UID:GID|- PROGRAM ARGUMENT...

Between fork and exec no Python code of ours may run safely, so a process that must not outlive its parent is started
through this file: it drops to the given account, asks Linux to send SIGNAL when the parent dies, and becomes PROGRAM.
Elsewhere than on Linux the parent's death goes unnoticed. Imports nothing of the package, so that it starts quickly.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def with_parent_death_signal(
    command: Sequence[str], on_parent_death: signal.Signals, account: tuple[int, int] | None = None
) -> list[str]:
    """The command line that runs `command` as `account` (uid, gid), and sends it a signal when its parent ends.

    Linux takes the calling *thread* for the parent.
    """
    identity = f"{account[0]}:{account[1]}" if account else "-"
    interpreter = [sys.executable, "-I", "-S", __file__]
    return [*interpreter, str(os.getpid()), str(int(on_parent_death)), identity, *command]


def _drop_to(identity: str) -> None:
    uid, gid = (int(part) for part in identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: Sequence[str]) -> None:
    """Replace this process by the program named in `arguments`."""
    parent, signal_number, identity, *command = arguments
    if identity != "-":
        _drop_to(identity)
    # After the change of account, which would clear it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit("The parent ended before the program could start.")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - the command comes from our own code, and no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
