"""Where the files of connections are, and the store of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pdpp_worker.settings import Settings
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.key_source import KeySource
from pdpp_worker.stored_files.quota import Quota
from pdpp_worker.stored_files.tree_lock import Sealing, TreeLock


def files_root(settings: Settings) -> Path:
    """Where all connections keep their files."""
    return settings.data_dir / "files"


def files_dir(settings: Settings, connection_id: int, name: str) -> Path:
    """Where a connection keeps its files; the id keeps an account that takes over a name apart."""
    return files_root(settings) / f"{connection_id}-{name}"


def directories(settings: Settings) -> Iterator[Path]:
    """The directories of all connections that have files on this host."""
    root = files_root(settings)
    yield from sorted(path for path in (root.iterdir() if root.is_dir() else ()) if path.is_dir())


def store_at(settings: Settings, directory: Path) -> FileStore:
    """The files in one of these directories."""
    sealing = Sealing(KeySource(settings), settings.encrypt_files, TreeLock(directory))
    quota = Quota(directory, most_mb=settings.connection_files_mb, free_mb=settings.files_free_mb)
    return FileStore(directory, sealing, quota)
