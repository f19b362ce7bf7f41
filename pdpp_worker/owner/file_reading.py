"""The stored files of a connection as its owner reads them: in the clear, whatever form they have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import connection_files, file_forms
from pdpp_worker.stored_files.clear_trees import files_below
from pdpp_worker.stored_files.file_store import FileStore

_CHUNK = 1024 * 1024
_TITLES = ("filename", "name", "title")


class FoundFile(NamedTuple):
    """A file of a connection on this host."""

    path: str
    """As records tell it: relative to the connection's directory."""
    size_bytes: int
    """Of the clear bytes."""
    encrypted: bool


class NamedFile(NamedTuple):
    """A file that a record names."""

    title: str
    path: str


def files_of(session: Session, name: str) -> FileStore:
    """The files of a connection; raises NotFoundError where there is no such connection."""
    with session.db.begin() as connection:
        row = lookup.find(connection, name)
    return store_of(session.settings, row.id, row.name)


def store_of(settings: Settings, connection_id: int, name: str) -> FileStore:
    """The files of a connection on this host."""
    return connection_files.store_at(settings, connection_files.files_dir(settings, connection_id, name))


def found_in(store: FileStore) -> Iterator[FoundFile]:
    """The files, by their paths."""
    for place in files_below(store.root):
        path = str(place.relative_to(store.root))
        with suppress(FileNotFoundError):  # it is gone meanwhile
            yield FoundFile(path, store.size(path) or 0, file_forms.is_sealed(place))


def named_in(store: FileStore, data: Any) -> Iterator[NamedFile]:
    """The files that data of a record names by a member `path`, as far as they are there."""
    if isinstance(data, list):
        for each in data:
            yield from named_in(store, each)
    if not isinstance(data, dict):
        return
    path = data.get("path")
    if isinstance(path, str) and _is_there(store, path):
        title = next((data[name] for name in _TITLES if isinstance(data.get(name), str)), Path(path).name)
        yield NamedFile(Path(title).name or Path(path).name, path)
    for each in data.values():
        yield from named_in(store, each)


def opened(store: FileStore, path: str) -> BinaryIO:
    """The clear bytes of a file.

    Raises:
        NotFoundError: there is none of that path among the connection's files.
        ConfigurationError: it cannot be opened.
    """
    if not _is_there(store, path):
        raise NotFoundError(f"{store.root.name} has no file {path!r}.")
    return store.open(path)


def _is_there(store: FileStore, path: str) -> bool:
    """Whether a path is that of a file below the connection's directory, also where a link leads elsewhere."""
    with suppress(OSError, ValueError):  # a name that no system takes
        place = (store.root / path).resolve()
        return place.is_relative_to(store.root.resolve()) and place.is_file()
    return False


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
