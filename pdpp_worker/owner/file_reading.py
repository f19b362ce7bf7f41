"""The stored files of a connection as its owner reads them: in the clear, whatever form they have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session
from pdpp_worker.stored_files import connection_files, file_forms
from pdpp_worker.stored_files.clear_trees import files_below
from pdpp_worker.stored_files.file_store import FileStore

_CHUNK = 1024 * 1024


class FoundFile(NamedTuple):
    """A file of a connection on this host."""

    path: str
    """As records tell it: relative to the connection's directory."""
    size_bytes: int
    """Of the clear bytes."""
    encrypted: bool


def files_of(session: Session, name: str) -> FileStore:
    """The files of a connection; raises NotFoundError where there is no such connection."""
    with session.db.begin() as connection:
        row = lookup.find(connection, name)
    settings = session.settings
    return connection_files.store_at(settings, connection_files.files_dir(settings, row.id, row.name))


def found_in(store: FileStore) -> Iterator[FoundFile]:
    """The files, by their paths."""
    for place in files_below(store.root):
        path = str(place.relative_to(store.root))
        with suppress(FileNotFoundError):  # it is gone meanwhile
            yield FoundFile(path, store.size(path) or 0, file_forms.is_sealed(place))


def opened(store: FileStore, path: str) -> BinaryIO:
    """The clear bytes of a file.

    Raises:
        NotFoundError: there is none of that path among the connection's files.
    """
    place = (store.root / path).resolve()
    if not place.is_relative_to(store.root.resolve()) or not place.is_file():
        raise NotFoundError(f"{store.root.name} has no file {path!r}.")
    return store.open(path)


def copy(store: FileStore, path: str, to: Path) -> None:
    """Write the clear bytes of a file to another one, whole or not at all, which only its owner can read.

    Raises:
        NotFoundError: there is none of that path.
        ConfigurationError: it cannot be opened, or the other one cannot be written.
    """
    unfinished = to.with_name(f"{to.name}.part")
    with opened(store, path) as source:
        try:
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            with file_forms.new_file(unfinished) as out:
                shutil.copyfileobj(source, out, _CHUNK)
            unfinished.replace(to)
        except OSError as error:
            raise ConfigurationError(f"{to} cannot be written: {error.strerror}.") from None
        finally:
            unfinished.unlink(missing_ok=True)
