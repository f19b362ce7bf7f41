"""Keeps everything that an owner has in one file, and brings it back.

The file is a tar archive: `about.json`, `database.dump`, and where they were asked for `files`, `browser` and
`secret.key` of the data directory. Where files are encrypted, `database.dump` is too.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import make_directory, postgres_tools
from pdpp_worker.owner import audit, schema
from pdpp_worker.owner.session import Session
from pdpp_worker.owner.sparse_files import SparseArchive
from pdpp_worker.secret_keys import all_keys, read_keys
from pdpp_worker.settings import Settings
from pdpp_worker.store import backups
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import reading
from pdpp_worker.stored_files import connection_files, file_forms, quota

DIRECTORIES = ("files", "browser")
KEY = "secret.key"
_UNFINISHED, _LOCK = ".dump-", "lock"
_ABOUT, _DATABASE = "about.json", "database.dump"


@dataclass(frozen=True)
class About:
    """Facts about a backup."""

    revision: str
    """Of the database schema."""
    made_at: str
    parts: list[str]
    """Of the data directory."""


def dump(session: Session, file: Path, *, files: bool, key: bool) -> About:
    """Write the database into a file, and the owner's files and key if asked for. The fleet may run meanwhile.

    Raises:
        ConfigurationError: the file exists already, the key is in no file, or there is nothing to keep.
        PdppError: the database cannot be dumped.
    """
    if file.exists():
        raise ConfigurationError(f"{file} exists already; choose another name.")
    about = _about(session, files=files, key=key)
    if not about.revision:
        raise ConfigurationError("The database holds nothing yet.")
    _remove_unfinished(file.absolute().parent)
    with TemporaryDirectory(dir=file.absolute().parent, prefix=_UNFINISHED) as folder, _held(Path(folder)):
        unfinished = Path(folder, "backup.tar")
        postgres_tools.dump(_url(session.db), Path(folder, _DATABASE), session.settings.child_environment({}))
        Path(folder, _ABOUT).write_text(json.dumps(asdict(about)), encoding="utf-8")
        unfinished.touch(mode=0o600)
        _encrypt(Path(folder, _DATABASE), session.settings)
        with SparseArchive.open(unfinished, "w") as archive:
            for name in (_ABOUT, _DATABASE):
                archive.add(Path(folder, name), name)
            for part in about.parts:
                archive.add_tree(session.settings.data_dir / part, part)
        unfinished.rename(file)
    return about


def _encrypt(dumped: Path, settings: Settings) -> None:
    if settings.encrypt_files:
        file_forms.seal_file(dumped, read_keys(settings)).replace(dumped)


def _decrypt(dumped: Path, settings: Settings) -> None:
    """Bring a database's dump into the clear, by a key that is here or that came with it.

    Raises:
        ConfigurationError: neither opens it.
    """
    if not file_forms.is_sealed(dumped):
        return
    with_it = dumped.with_name(KEY)
    keys = all_keys(settings, with_it.read_bytes() if with_it.exists() else b"")
    file_forms.open_file(dumped, keys).replace(dumped)


def _remove_unfinished(folder: Path) -> None:
    """Remove what dumps that were killed left in a directory."""
    for left in folder.glob(f"{_UNFINISHED}*"):
        status = left.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if is_ours and not locks.is_locked(left / _LOCK):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Let others see that this dump is under way."""
    lock = locks.try_lock(folder / _LOCK)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _about(session: Session, *, files: bool, key: bool) -> About:
    there = session.settings.data_dir
    if key and not (there / KEY).exists():
        raise ConfigurationError(f"There is no key in {there / KEY}; if it is in PDPP_SECRET_KEY, keep that yourself.")
    parts = [name for name in DIRECTORIES if files and (there / name).is_dir()] + ([KEY] if key else [])
    with session.db.begin() as connection:
        now = reading.now(connection).isoformat(timespec="seconds")
    return About(schema.revisions(session.db)[0] or "", now, parts)


def restore(session: Session, file: Path, *, replace: bool) -> tuple[About, Path | None]:
    """Bring back what a backup holds; returns what that is, and where what was here before is kept.

    Raises:
        ConfigurationError: the file is no backup, of a newer version, or encrypted under a key that is neither here nor
            in it; a fleet is at work; or something is here already and is not to be replaced.
        PdppError: the database cannot be restored, and is as it was before.
    """
    _require_quiet(session)
    with TemporaryDirectory(dir=file.absolute().parent, prefix=".restore-") as folder:
        about = _unpack(file, Path(folder))
        if about.revision > schema.revisions(session.db)[1]:
            raise ConfigurationError(f"{file} was made by a newer version of this program; install that one.")
        _decrypt(Path(folder, _DATABASE), session.settings)
        kept = _keep_what_is_here(session, replace=replace)
        try:
            _replace_database(session, Path(folder, _DATABASE))
        except BaseException:
            if kept is not None:
                _replace_database(session, _dump_of(kept, Path(folder), session.settings))
            raise
        _replace_parts(session, Path(folder), about)
    schema.upgrade(session.db)
    with session.db.begin() as connection:
        audit.note(connection, "database.restore", None, made_at=about.made_at)
    return about, kept


def _require_quiet(session: Session) -> None:
    fleet = session.settings.data_dir / "fleet.lock"
    with session.db.begin() as connection:
        others = backups.others_at_work(connection)
    if others or (fleet.exists() and locks.is_locked(fleet)):
        raise ConfigurationError("A fleet is at work on this database; stop its workers first.")


def _unpack(file: Path, folder: Path) -> About:
    try:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
        about = About(**json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, tarfile.TarError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{file} is no backup of this program: {error}.") from None
    return about


def _keep_what_is_here(session: Session, *, replace: bool) -> Path | None:
    """Dump what is here, if it is anything; returns the file."""
    have, _ = schema.revisions(session.db)
    if have is None:
        return None
    with session.db.begin() as connection:
        if not backups.holds_connections(connection):
            return None
    if not replace:
        raise ConfigurationError(
            "This database has connections already. Give --replace to put the backup in their place."
        )
    folder = session.settings.data_dir / "backups"
    make_directory(folder)
    with session.db.begin() as connection:
        name = f"before-restore-{reading.now(connection):%Y%m%d-%H%M%S-%f}.tar"
    dump(session, folder / name, files=False, key=(session.settings.data_dir / KEY).exists())
    return folder / name


def _dump_of(kept: Path, folder: Path, settings: Settings) -> Path:
    with tarfile.open(kept) as archive:
        archive.extract(_DATABASE, folder, filter="data")
    _decrypt(folder / _DATABASE, settings)
    return folder / _DATABASE


def _replace_database(session: Session, dumped: Path) -> None:
    with session.db.begin() as connection:
        backups.drop_tables(connection)
    postgres_tools.restore(_url(session.db), dumped, session.settings.child_environment({}))


def _replace_parts(session: Session, folder: Path, about: About) -> None:
    """Put files beside those that are here; of two with one name, that of the backup stays."""
    make_directory(session.settings.data_dir)
    for part in about.parts:
        here = session.settings.data_dir / part
        for path in (folder / part).rglob("*") if part != KEY else [folder / part]:
            target = here / path.relative_to(folder / part)
            if path.is_dir():
                make_directory(target)
            else:
                make_directory(target.parent)
                shutil.move(path, target)
    for directory in connection_files.directories(session.settings):
        quota.forget(directory)


def _url(db: Database) -> str:
    return db.engine.url.render_as_string(hide_password=False)
