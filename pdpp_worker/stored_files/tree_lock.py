"""The lock of a connection's files, beside its directory: held by what opens them, or writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.local import locks
from pdpp_worker.secret_keys import Keys

SUFFIX = ".lock"
WAIT_S = 30.0
_MARK, _OPEN = b"encrypted\n", b"in the clear\n"


class TreeLock:
    """Keeps two from working on the same files.

    Its file also says whether any of them may be encrypted, and whether code has them in the clear that are to be.
    """

    def __init__(self, root: Path) -> None:
        self._path = root.with_name(f"{root.name}{SUFFIX}")
        self._is_held = False

    @contextmanager
    def held(self, *, shared: bool = False, timeout_s: float | None = None) -> Iterator[None]:
        """Hold it for the block, in which `briefly` need not wait; `timeout_s` None: wait for the usual time.

        Raises:
            UpstreamError: somebody else held it all the while.
            ConfigurationError: it cannot be locked.
        """
        with self._locked(shared=shared, timeout_s=WAIT_S if timeout_s is None else timeout_s):
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """Hold it with others for as long as a file gets its name; raises as `held` does."""
        if self._is_held:
            yield
            return
        with self._locked(shared=True, timeout_s=WAIT_S):
            yield

    @contextmanager
    def _locked(self, *, shared: bool, timeout_s: float) -> Iterator[None]:
        try:
            descriptor = locks.lock(self._path, shared=shared, timeout_s=timeout_s)
        except TimeoutError:
            why = f"the files of {self._path.stem} are in use; try again later"
            raise UpstreamError(why, reason="source_partition_failed") from None
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be locked: {error.strerror}.") from None
        try:
            yield
        finally:
            os.close(descriptor)

    @property
    def is_marked(self) -> bool:
        """Whether files were encrypted since `unmark`."""
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def mark(self) -> None:
        """Note that a file is encrypted."""
        if not self.is_marked:
            self._path.write_bytes(_MARK)

    @property
    def is_open(self) -> bool:
        """Whether files are in the clear that are to be encrypted: code uses them, or was killed."""
        try:
            return self._path.read_bytes().endswith(_OPEN)
        except FileNotFoundError:
            return False

    def version(self) -> int:
        """Another number each time that something was noted."""
        return self._path.stat().st_mtime_ns

    def note_open(self) -> None:
        """Note that they are, in one step: a kill must not leave the file empty."""
        with self._path.open("r+b", buffering=0) as file:
            file.write(_MARK + _OPEN)

    def note_closed(self) -> None:
        """Note that all are encrypted again."""
        os.truncate(self._path, len(_MARK))

    def unmark(self) -> None:
        """Note that none is any more."""
        self._path.write_bytes(b"")

    def remove(self) -> None:
        """Remove its file, with the directory."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Sealing:
    """How the files of a connection are kept."""

    keys: Callable[[], Keys]
    """The keys as they are now; the same object as long as they are the same."""
    is_wanted: bool
    """Whether new files are encrypted. Encrypted ones are read in any case."""
    lock: TreeLock
