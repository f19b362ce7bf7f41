"""The files of one connection: each is written whole or not at all, encrypted where the owner wants it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from pdpp_worker.errors import ConfigurationError, StorageFull
from pdpp_worker.secret_keys import Keys
from pdpp_worker.stored_files import clear_trees, file_forms, replacing
from pdpp_worker.stored_files.quota import Quota, size_at
from pdpp_worker.stored_files.sealing import MARK, SealedWriter
from pdpp_worker.stored_files.tree_lock import Sealing


class FileStore:
    """Reads and writes the files of one connection by their paths, which are relative to its directory.

    All methods raise ConfigurationError, with the name of the file or the directory, where one cannot be written, or
    where an encrypted one cannot be opened; and StorageFull where there is no room for what is written.
    """

    def __init__(self, root: Path, sealing: Sealing | None = None, quota: Quota | None = None) -> None:
        """`sealing` None: all files are in the clear, as in a trial of an account. `quota` None: they have no bound."""
        self.root, self._sealing, self._quota = root, sealing, quota
        self._folders: set[str] = set()
        self._open = ExitStack()
        self._is_flushed, self._is_open = True, False
        self._is_tidy = False

    def open_directory(self, kept: Collection[str] = ()) -> Path:
        """The connection's directory, which is made if it is missing, with all files in the clear until `close`.

        For code that reads and writes files by itself, such as a program. `kept`: folders that it has nothing to do
        with; they stay as they are.
        """
        if not self._is_open:
            if self._quota is not None:
                self._tidy()
                self._quota.begin()
            self._open.enter_context(self.in_clear(kept=kept))
            self._is_open = True
        return self.root

    def at(self, directory: Path) -> FileStore:
        """The files of another directory, kept as these are; for a part of this one that is reached in another way."""
        store = FileStore(directory, self._sealing, self._quota)
        store._is_tidy = True
        return store

    def with_look(self, check: Callable[[], None]) -> Callable[[], None]:
        """A check that also counts now and then what code has written by itself that has the directory open."""

        def both() -> None:
            check()
            if self._is_open and self._quota is not None:
                self._quota.look()

        return both

    def check_room(self, more: int) -> None:
        """See whether so many more bytes may be written."""
        if self._quota is not None:
            self._tidy()
            self._quota.check(more)

    def _tidy(self) -> None:
        """Make the directory and remove what a killed worker left unfinished in it, before all is counted."""
        if not self._is_tidy:
            with _usable(self.root):
                self.make_folder("")
            file_forms.remove_unfinished(self.root)
            self._is_tidy = True

    @contextmanager
    def in_clear(self, name: str = "", *, kept: Collection[str] = ()) -> Iterator[Path]:
        """One file in the clear for the block, with those that SQLite puts beside it; without a name all but `kept`.

        Raises:
            UpstreamError: somebody else used them all the while.
        """
        with _usable(self.root):
            self.make_folder("")
        if self._quota is not None:
            self._quota.doubt()
        if self._sealing is None:
            yield self.root / name
            return
        with clear_trees.in_clear(self.root, self._sealing, name, kept):
            yield self.root / name

    def open(self, path: str) -> BinaryIO:
        """The clear bytes of a file, from any place in it; raises FileNotFoundError where it is not there."""
        try:
            return file_forms.open_clear(self.root / path, self._sealing.keys if self._sealing is not None else None)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ConfigurationError(f"{self.root / path} cannot be read: {error.strerror}.") from None

    def read(self, path: str, size: int = -1) -> bytes:
        """The first bytes of a file, or all; raises FileNotFoundError where it is not there."""
        with self.open(path) as file:
            return file.read(size)

    def size(self, path: str) -> int | None:
        """The clear bytes of a file; None where it is not there."""
        with _usable(self.root):
            try:
                place = self.root / path
                return place.stat().st_size if self._sealing is None else file_forms.size_of(place)
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder."""
        with suppress(FileNotFoundError), os.scandir(self.root / folder) as found:
            return [one.name for one in found if not one.name.startswith(file_forms.UNFINISHED)]
        return []

    def write(self, path: str, content: bytes) -> None:
        """Put a file there; it is on the disk after the next `flush`."""
        with self.draft() as draft:
            draft.write(content)
            draft.keep(path)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A file that is begun in the block and has its name at the end; without one nothing is left of it."""
        draft = Draft(self, self.root)
        with nullcontext() if self._quota is None else self._quota.beside(draft.at):
            try:
                yield draft
            finally:
                draft.discard()

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with _usable(self.root), self._counted(path):
            (self.root / path).unlink(missing_ok=True)

    def move(self, path: str, to: str) -> None:
        """Give a file another name."""
        with _usable(self.root), self._counted(path), self._counted(to):
            (self.root / path).rename(self.root / to)

    def flush(self) -> None:
        """Bring to the disk what was written, before a record names it: all at once, not a wait for each file."""
        if not self._is_flushed:
            with _usable(self.root):
                replacing.to_disk(self.root)
            self._is_flushed = True

    def close(self) -> None:
        """Encrypt what was opened. A file that cannot be encrypted stays in the clear; the log says so."""
        self._is_open = False
        self._open.close()
        if self._quota is not None:
            self._quota.close()

    def make_folder(self, folder: str) -> None:
        """Make a folder, once."""
        if folder not in self._folders:
            (self.root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folders.add(folder)

    def put_in_place(self, unfinished: Path, path: str, keys: Keys | None) -> None:
        """Give a whole file its name, under the keys as they are now."""
        self.make_folder(path.rpartition("/")[0])
        self._is_flushed = False
        if self._sealing is None:
            self._rename(unfinished, path)
            return
        with self._sealing.lock.briefly():
            if keys is not None:
                self._sealing.lock.mark()
                if (now := self._sealing.keys()) is not keys:  # one was added meanwhile
                    unfinished = file_forms.reseal_file(unfinished, now) or unfinished
            self._rename(unfinished, path)

    def _rename(self, unfinished: Path, path: str) -> None:
        with self._counted(path):
            unfinished.replace(self.root / path)

    @contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        """Count the change that the block makes to one file."""
        if self._quota is None:
            yield
            return
        before = size_at(self.root / path)
        yield
        self._quota.add(size_at(self.root / path) - before)

    def keys_for(self, beginning: bytes) -> Keys | None:
        """The keys for a file that begins so; None: it is written in the clear."""
        if self._sealing is None or not (self._sealing.is_wanted or beginning.startswith(MARK)):
            return None
        return self._sealing.keys()


class Draft:
    """A file that is being written, and has no name yet."""

    def __init__(self, store: FileStore, root: Path) -> None:
        self._store, self._root = store, root
        self.at = file_forms.unfinished_in(root)
        self._beginning = b""
        self._size = 0
        self._keys: Keys | None = None
        self._file: BinaryIO | None = None
        self._out: BinaryIO | SealedWriter | None = None

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self._size += len(chunk)
        self._store.check_room(self._size)
        with _usable(self._root):
            if self._out is not None:
                self._out.write(chunk)
                return
            self._beginning += chunk
            if len(self._beginning) >= len(MARK):
                self._begin()

    def keep(self, path: str, *, at_once: bool = False) -> None:
        """End the file and give it its name; it is on the disk after the next `flush`, or when this returns."""
        with _usable(self._root):
            file = self._file or self._begin()
            if isinstance(self._out, SealedWriter):
                self._out.end()
            file.flush()
            if at_once:
                os.fsync(file.fileno())
            self._store.put_in_place(self.at, path, self._keys)  # locked, so that nobody takes it for left over
            file.close()

    def discard(self) -> None:
        """Leave nothing of it, unless it was kept."""
        if self._file is not None:
            self._file.close()
            self.at.unlink(missing_ok=True)

    def _begin(self) -> BinaryIO:
        """Open the file in the form in which it is written, which depends on its first bytes."""
        self._store.make_folder("")
        self._keys = self._store.keys_for(self._beginning)
        self._file = file = file_forms.new_file(self.at)
        self._out = file if self._keys is None else SealedWriter(file, self._keys)
        self._out.write(self._beginning)
        return file


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"files cannot be kept in {root}: {error.strerror}; make room") from None
        raise ConfigurationError(f"Files cannot be kept in {root}: {error.strerror or error}.") from None
