"""The browser profile of a connection: its directory, and the lock by which one browser at a time uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pdpp_worker import trees
from pdpp_worker.browser import sealed
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import make_directory
from pdpp_worker.secret_keys import read_keys
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow

ROOT, SEALED, BEGUN = "browser", ".sealed", sealed.BEGUN
_END_S = 10.0


def root(settings: Settings) -> Path:
    """Where the profiles of all connections live."""
    return settings.data_dir / ROOT


def profile_dir(settings: Settings, row: ConnectionRow) -> Path:
    """Where the profile of a connection lives; the id keeps an account that takes over a name apart."""
    return root(settings) / f"{row.id}-{row.name}"


@contextmanager
def opened(profile: Path, *, timeout_s: float, settings: Settings | None = None) -> Iterator[None]:
    """Lock a profile for the block: a directory for this account alone, which no other browser uses.

    A browser that outlived its worker is ended first; where the host's name has changed since, as in
    containers, Chromium would mistake the lock of a killed browser for that of a living one. With `settings`, a
    sealed profile is opened for the block, and sealed again if they say so.

    Raises:
        TimeoutError: somebody else used the profile all the while.
    """
    with locked(profile, timeout_s=timeout_s):
        end_orphans(profile)
        if settings is not None:
            _unseal(profile, settings)
        profile.mkdir(mode=0o700, exist_ok=True)
        profile.chmod(0o700)
        for stale in (*profile.glob("Singleton*"), *profile.glob("*/Sessions/*")):
            stale.unlink(missing_ok=True)
        yield
        if settings is not None and settings.encrypt_files:
            sealed.seal(profile, sealed_file(profile), read_keys(settings))


@contextmanager
def locked(profile: Path, *, timeout_s: float) -> Iterator[None]:
    """Keep others from a profile, in whatever form it is; raises as `opened` does."""
    make_directory(profile.parent)
    profile.parent.chmod(0o700)
    try:
        lock = locks.lock(profile.with_name(f"{profile.name}.lock"), timeout_s=timeout_s)
    except TimeoutError:
        raise TimeoutError("the browser profile is in use, perhaps by a sign-in window") from None
    try:
        yield
    finally:
        os.close(lock)


def sealed_file(profile: Path) -> Path:
    """Where a profile is kept while no browser uses it, if it is encrypted."""
    return profile.with_name(f"{profile.name}{SEALED}")


def _unseal(profile: Path, settings: Settings) -> None:
    """Bring back a sealed profile. One that a killed worker left open is newer than its sealed file."""
    if not profile.exists() and sealed_file(profile).exists():
        sealed.unseal(sealed_file(profile), profile, read_keys(settings))


def end_orphans(profile: Path) -> None:
    """End every browser that uses the profile."""
    left = users(profile)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_END_S)


def users(profile: Path) -> list[psutil.Process]:
    """The browser processes of this account that use the profile."""
    flag = f"--user-data-dir={profile}"
    return [
        process
        for process in psutil.process_iter(["cmdline", "uids"])
        if process.info["uids"] is not None
        and process.info["uids"].effective == os.geteuid()
        and flag in (process.info["cmdline"] or ())
    ]


def remove(settings: Settings, row: ConnectionRow) -> None:
    """Remove the profile of a connection, and the sign-in with it; raises as `remove_at` does."""
    profile = profile_dir(settings, row)
    if profile.exists() or sealed_file(profile).exists():
        remove_at(profile, timeout_s=_END_S)


def remove_at(profile: Path, *, timeout_s: float = 0.0) -> None:
    """Remove a profile by its place.

    Raises:
        OSError: a part of it cannot be removed.
        TimeoutError: somebody used it all the while.
    """
    with opened(profile, timeout_s=timeout_s):
        trees.remove(profile)
        sealed_file(profile).unlink(missing_ok=True)
    profile.with_name(f"{profile.name}.lock").unlink(missing_ok=True)
