"""Brings the stored files of a host to the form that the settings ask for, file by file, while the fleet is at work.

A second call goes on where one ended: what is in its form already is left. A file that is being used is left for later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from math import inf
from pathlib import Path

from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.secret_keys import Keys
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import connection_files, file_forms, quota
from pdpp_worker.stored_files.clear_trees import files_below
from pdpp_worker.stored_files.key_source import KeySource
from pdpp_worker.stored_files.replacing import Replacing
from pdpp_worker.stored_files.tree_lock import TreeLock

_WAIT_S = 10.0

Make = Callable[[Path], Path | None]
"""Writes the other form of a file beside it; None: it has that form already."""


@dataclass
class Resealed:
    """Outcome for the files of one host."""

    rewritten: int = 0
    """Files that have another form since, or are under another key."""
    left: list[str] = field(default_factory=list)
    """Sentences about those that stay as they are."""


def reseal(settings: Settings) -> Resealed:
    """Bring encrypted files under the newest key; where the setting asks for it, encrypt clear ones too."""
    keys = KeySource(settings)
    make = partial(_sealed_anew if settings.encrypt_files else _under_newest, keys=keys())
    return _all_trees(settings, make, marks=settings.encrypt_files)


def open_all(settings: Settings) -> Resealed:
    """Bring encrypted files back into the clear.

    Raises:
        ConfigurationError: the setting asks for encryption, so that the fleet would go on encrypting.
    """
    if settings.encrypt_files:
        raise ConfigurationError("Unset PDPP_ENCRYPT_FILES first, for the fleet too: it would go on encrypting.")
    outcome = _all_trees(settings, partial(_opened, keys=KeySource(settings)()), marks=False)
    for root in connection_files.directories(settings):
        _unmark(TreeLock(root), root)
    return outcome


def seal_left(settings: Settings, within_s: float) -> Resealed:
    """Encrypt what killed workers left in the clear, where nobody works now; goes on with the next call.

    Looks at no file of a directory that nobody was killed in.
    """
    outcome, until = Resealed(), time.monotonic() + within_s
    left = [root for root in connection_files.directories(settings) if TreeLock(root).is_open]
    for root in left if settings.encrypt_files else ():
        with suppress(UpstreamError):  # somebody works there, and will encrypt it
            _one_left(root, partial(_sealed_anew, keys=KeySource(settings)()), outcome, until)
    return outcome


def _one_left(root: Path, make: Make, outcome: Resealed, until: float) -> None:
    """Encrypt the files of one directory, and note that once all are; a slice that begins there waits for no walk."""
    lock, failed = TreeLock(root), len(outcome.left)
    try:
        seen = lock.version()
        _one_tree(root, make, outcome, marks=False, wait_s=0.0, until=until)
        if len(outcome.left) == failed and time.monotonic() < until:
            with lock.held(timeout_s=0.0):
                if lock.version() == seen:  # nobody has opened any since
                    lock.note_closed()
    except (ConfigurationError, OSError) as error:
        outcome.left.append(str(error))


def _unmark(lock: TreeLock, root: Path) -> None:
    """Let nobody look through a directory for encrypted files in which there is none any more."""
    with suppress(UpstreamError), lock.held(timeout_s=_WAIT_S):
        if not any(map(file_forms.is_sealed, files_below(root))):
            lock.unmark()


def _all_trees(settings: Settings, make: Make, *, marks: bool) -> Resealed:
    outcome = Resealed()
    for root in connection_files.directories(settings):
        try:
            _one_tree(root, make, outcome, marks=marks)
        except (ConfigurationError, UpstreamError, OSError) as error:
            outcome.left.append(str(error))
    return outcome


def _one_tree(
    root: Path, make: Make, outcome: Resealed, *, marks: bool, wait_s: float = _WAIT_S, until: float = inf
) -> None:
    lock = TreeLock(root)
    with lock.held(timeout_s=wait_s):  # a program may be reading the files; a file that is written is soon done
        if marks:
            lock.mark()
    replacing = Replacing(root, alone=partial(lock.held, timeout_s=wait_s))
    paths = takewhile(lambda _: time.monotonic() < until, files_below(root))
    try:
        with replacing:
            outcome.left += _failures(paths, partial(replacing.apply, make=make))
    finally:
        outcome.rewritten += replacing.count
        quota.forget(root)


def _failures(paths: Iterator[Path], apply: Callable[[Path], None]) -> Iterator[str]:
    """Apply to each; yields a sentence for those that cannot be opened or written, unless they are gone meanwhile."""
    for path in paths:
        try:
            apply(path)
        except (ConfigurationError, FileNotFoundError) as error:
            if path.exists():
                yield str(error)


def _sealed_anew(path: Path, keys: Keys) -> Path | None:
    return file_forms.reseal_file(path, keys) if file_forms.is_sealed(path) else file_forms.seal_file(path, keys)


def _under_newest(path: Path, keys: Keys) -> Path | None:
    return file_forms.reseal_file(path, keys) if file_forms.is_sealed(path) else None


def _opened(path: Path, keys: Keys) -> Path | None:
    return file_forms.open_file(path, keys) if file_forms.is_sealed(path) else None
