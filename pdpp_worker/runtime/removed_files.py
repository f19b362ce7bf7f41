"""Removes the files that this host still has of removed connections.

A connection may be removed from another host, or while a slice works.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from pdpp_worker.browser import profile
from pdpp_worker.settings import Settings
from pdpp_worker.store import removals
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files.connection_files import files_root
from pdpp_worker.stored_files.tree_lock import TreeLock

_EVERY_S = 30.0
_due_at: dict[Path, float] = {}


def remove(settings: Settings, db: Database) -> tuple[int, list[str]]:
    """Remove the directories; returns how many are gone, and for each that is left the reason.

    The next call tries again, for example a browser profile that was in use. It is called at the start of a
    worker, at the end of a slice now and then, at every tick of the dispatcher, and by `connection remove`.
    """
    kept = [*_kept(files_root(settings)), *_kept(profile.root(settings))]
    if not kept:
        return 0, []
    with db.begin() as connection:
        removed = removals.among(connection, {connection_id for connection_id, _ in kept})
    results = [_remove(path) for connection_id, path in kept if connection_id in removed]
    left = [why for why in results if why is not None]
    return len(results) - len(left), left


def remove_lately(settings: Settings, db: Database, *, at_once: bool = False) -> None:
    """Do so unless this process has just done it, or `at_once`: it looks at the directory of every connection."""
    now = time.monotonic()
    if at_once or now >= _due_at.get(settings.data_dir, 0.0):
        _due_at[settings.data_dir] = now + _EVERY_S
        remove(settings, db)


def _kept(root: Path) -> Iterator[tuple[int, Path]]:
    """The directories of connections, by their ids."""
    for path in root.iterdir() if root.is_dir() else ():
        number = path.name.partition("-")[0]
        if number.isdecimal() and (path.is_dir() or path.name.endswith(profile.SEALED)):
            yield int(number), path.with_name(path.name.removesuffix(profile.SEALED))


def _remove(path: Path) -> str | None:
    try:
        if path.parent.name == profile.ROOT:
            profile.remove_at(path)
        else:
            shutil.rmtree(path)
            TreeLock(path).remove()
    except OSError as error:  # a profile that is in use is a TimeoutError, which is one
        return f"{path}: {error.strerror or error}"
    return None
