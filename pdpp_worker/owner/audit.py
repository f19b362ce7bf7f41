"""Writes who changed what into the audit log, in the transaction of the change."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.settings import get_settings
from pdpp_worker.store import audit_rows

_acting: ContextVar[str | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(who: str) -> Iterator[None]:
    """Let the changes inside the block be this one's: `web`, or a task by its name."""
    before = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(before)


def note(connection: Connection, action: str, row: ConnectionRow | None, **data: Any) -> None:
    """Add a change to the log; `data` names what was changed, and holds no secret."""
    identity, name = (None, None) if row is None else (row.id, row.name)
    audit_rows.append(connection, _acting.get() or _account(), action, identity, name, data)


def _account() -> str:
    """The account of this process, `user@host`, as the system names it; and whom sudo names, which root can make up."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # an account of a container may have no name
        user = str(uid)
    said = get_settings().variable("SUDO_USER")
    return f"{user}@{socket.gethostname()}" + (f" (said to be {said})" if said else "")
