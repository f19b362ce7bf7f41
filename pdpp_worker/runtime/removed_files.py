"""Removes the files that this host still has of removed connections.

A connection may be removed from another host, or while a slice works.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pdpp_worker import trees
from pdpp_worker.browser import profile
from pdpp_worker.isolation import reason
from pdpp_worker.logs import get_logger
from pdpp_worker.settings import Settings
from pdpp_worker.store import removals
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import quota, tree_lock
from pdpp_worker.stored_files.connection_files import files_root
from pdpp_worker.stored_files.tree_lock import TreeLock

_EVERY_S, _BESIDE_WORK_S = 30.0, 1.0
_due_at: dict[Path, float] = {}
_logged: set[str] = set()


def remove(settings: Settings, db: Database, *, within_s: float = trees.REMOVE_S) -> tuple[int, list[str]]:
    """Remove the directories; returns how many are gone, and for each that is left the reason, which is logged once.

    The next call tries again, for example a browser profile that was in use, and goes on with a directory that takes
    longer than there is time. It is called at the start of a worker, at the end of a slice now and then, after every
    tick of the dispatcher, and by `connection remove` and `doctor`.
    """
    until = time.monotonic() + within_s
    kept = {
        *_kept(files_root(settings), quota.SUFFIX, tree_lock.SUFFIX),
        *_kept(profile.root(settings), profile.SEALED),
    }
    if not kept:
        return 0, []
    with db.begin() as connection:
        removed = removals.among(connection, {connection_id for connection_id, _ in kept})
    results = [_remove(path, until) for connection_id, path in kept if connection_id in removed]
    left = [why for why in results if why is not None]
    for why in {*left} - _logged:
        get_logger().warning("files of a removed connection are left", why=why)
    _logged.clear()
    _logged.update(left)
    return len(results) - len(left), left


def remove_lately(settings: Settings, db: Database, *, at_once: bool = False) -> None:
    """Do so unless this process has just done it, or `at_once`: it looks at the directory of every connection."""
    now = time.monotonic()
    if at_once or now >= _due_at.get(settings.data_dir, 0.0):
        _due_at[settings.data_dir] = now + _EVERY_S
        remove(settings, db, within_s=_BESIDE_WORK_S)


def _kept(root: Path, *beside: str) -> Iterator[tuple[int, Path]]:
    """The directories of connections, by their ids; also those of which nothing but a file with such an end is left."""
    for path in root.iterdir() if root.is_dir() else ():
        number = path.name.partition("-")[0]
        if number.isdecimal() and path.is_dir():
            yield int(number), path
        elif number.isdecimal() and path.suffix in beside:
            yield int(number), path.with_suffix("")


def _remove(path: Path, until: float) -> str | None:
    """Remove one directory; whatever is in it, a failure is a sentence."""
    try:
        if path.parent.name == profile.ROOT:
            profile.remove_at(path)
        else:
            # Another process removes it too, or nothing but what is beside it is left.
            with suppress(FileNotFoundError):
                trees.remove(path, within_s=until - time.monotonic())
            TreeLock(path).remove()
            quota.forget(path)
    except Exception as error:  # noqa: BLE001 - a foreign program has filled it, and the caller has other work
        known = error.strerror or str(error) if isinstance(error, OSError) else None
        return f"{path}: {known or reason(error)}"
    return None
