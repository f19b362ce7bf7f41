"""The user that a connector's program runs as: one that reads nothing of the fleet, where there can be one."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded.account import make_owned_directory
from pdpp_worker.privileges import CAPABILITIES, may_change_user
from pdpp_worker.settings import Settings

OWN = range(60706, 61184)
"""User ids that no Linux system gives to people, services or containers."""

_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")
_UID_MAP = Path("/proc/self/uid_map")
_SHARED_PLACES = (Path("/run"), Path("/tmp"))  # noqa: S108 - a directory of our own is made there
"""All fleets of the machine see one of these, whatever their data directories and temporary files are."""


class NoOtherUserError(ConfigurationError):
    """This process may not start programs as another user, which it is told to."""


@dataclass(frozen=True)
class Account:
    """A user of this machine that is not the fleet's; it need not have a name."""

    uid: int
    gid: int
    is_own: bool = False
    """Whether it is of a range, so that one run has it for itself and all its processes are that run's."""

    def __str__(self) -> str:
        return f"user {self.uid}"

    @property
    def identity(self) -> str:
        """Its form for `other_user.Identity`."""
        return f"{self.uid}:{self.gid}{':own' if self.is_own else ''}"


def accounts(settings: Settings) -> Sequence[Account]:
    """The accounts that a program may run as, each as good as the other; none: it runs as the fleet's own user.

    Raises:
        ConfigurationError: `PDPP_CONNECTOR_USER` names an account that is not there, or cannot be used.
    """
    wanted = settings.connector_user
    if wanted is None:
        return _of_range(OWN) if may_change_user() and _are_there(OWN) else ()
    found = _named(wanted)
    if found[0].uid == os.geteuid():
        return ()
    if not may_change_user():
        raise NoOtherUserError(
            "PDPP_CONNECTOR_USER needs a fleet that may start programs as another user: run it as root, or with the "
            f"capabilities {', '.join(CAPABILITIES)}."
        )
    return found


@contextmanager
def borrowed(among: Sequence[Account], first: int) -> Iterator[Account]:
    """One of these accounts, beginning with number `first`; one of a range is nobody else's inside the block.

    Raises:
        ConfigurationError: all are in use, or the directory of the locks cannot be made.
    """
    folder = _lock_folder() if among[0].is_own else None
    for index in range(len(among)):
        account = among[(first + index) % len(among)]
        if folder is None:
            yield account
            return
        if (lock := locks.try_lock(folder / str(account.uid))) is not None:
            try:
                yield account
            finally:
                os.close(lock)
            return
    raise ConfigurationError("All users of PDPP_CONNECTOR_USER are in use; give a wider range.")


def _lock_folder() -> Path:
    place = next(place for place in _SHARED_PLACES if os.access(place, os.W_OK))
    folder = place / f"pdpp-worker-users-{os.geteuid()}"
    make_owned_directory(folder, None)
    return folder


def _named(wanted: str) -> Sequence[Account]:
    if (found := _RANGE.fullmatch(wanted)) is not None:
        ids = range(int(found[1]), int(found[2]) + 1)
        if not ids or ids[0] < 1000 or os.geteuid() in ids:
            raise ConfigurationError(f"PDPP_CONNECTOR_USER: {wanted} is no range of other users' ids from 1000 on.")
        return _of_range(ids)
    try:
        entry = pwd.getpwuid(int(wanted)) if wanted.isdecimal() else pwd.getpwnam(wanted)
    except (KeyError, OverflowError):
        raise ConfigurationError(
            f"PDPP_CONNECTOR_USER: this machine has no user {wanted}. Make it (on Linux: useradd --system {wanted}), "
            f"or give a range of user ids that nobody has, such as {OWN[0]}-{OWN[-1]}."
        ) from None
    if entry.pw_uid == 0 != os.geteuid():
        raise ConfigurationError("PDPP_CONNECTOR_USER cannot be root.")
    return (Account(entry.pw_uid, entry.pw_gid),)


def _of_range(ids: range) -> Sequence[Account]:
    return [Account(uid, uid, is_own=True) for uid in ids]


def _are_there(ids: range) -> bool:
    """Whether the kernel knows these ids here; in a container it may know few."""
    with suppress(OSError):
        known = [[int(part) for part in line.split()] for line in _UID_MAP.read_text(encoding="ascii").splitlines()]
        return any(first <= ids[0] and ids[-1] < first + count for first, _, count in known)
    return False
