"""Removes a data directory for good: `python -m pdpp_worker.local.data_removal FOLDER`.

It imports the standard library alone, so that it works where `make clean` has removed everything else.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from pdpp_worker import trees
from pdpp_worker.errors import ConfigurationError, NotFoundError, PdppError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded.server import SUPERVISOR_LOCK
from pdpp_worker.local.supervisor import hold_fleet

_MARKS = ("fleet.lock", "secret.key", "embedded/postgres", "embedded/valkey", "web/secret.key")
"""One of them is in every data directory."""


@dataclass(frozen=True)
class DataDirectory:
    """A data directory, the bytes of its files, and whether something runs there."""

    directory: str
    bytes: int
    used: bool


def look(folder: Path) -> DataDirectory:
    """Look at a data directory that exists."""
    return DataDirectory(str(folder), size(folder), is_used(folder))


def is_data_dir(folder: Path) -> bool:
    """Whether a fleet, or a command, has kept data there."""
    return any((folder / mark).exists() for mark in _MARKS)


def is_used(folder: Path) -> bool:
    """Whether a fleet runs there or in the demonstration's directory within it, or a program uses its servers."""
    found = [*folder.glob("fleet.lock"), *folder.glob("*/fleet.lock")]
    found += [*folder.glob(f"embedded/*/{SUPERVISOR_LOCK}"), *folder.glob(f"*/embedded/*/{SUPERVISOR_LOCK}")]
    return any(map(locks.is_locked, found))


def size(folder: Path) -> int:
    """The bytes of all files in a folder."""
    total = 0
    with suppress(OSError):  # who uses the directory may remove a part of it meanwhile
        for one in trees.folders(folder):
            with os.scandir(one) as entries:
                total += sum(_size(entry) for entry in entries)
    return total


def _size(entry: os.DirEntry[str]) -> int:
    with suppress(FileNotFoundError):  # as above
        return 0 if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size
    return 0


def question(folder: Path) -> str:
    """The question before a removal.

    Raises:
        NotFoundError: there is no data directory of that name.
        ConfigurationError: something uses it, or it holds more than data.
    """
    if not is_data_dir(folder):
        raise NotFoundError(f"{folder} is no data directory of pdpp-worker.")
    for one in (Path.home(), Path.cwd()):
        if one.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"{folder} holds {one} too; remove by hand what you do not need of it.")
    if is_used(folder):
        raise ConfigurationError(f"Something runs in {folder}: a fleet, the console or a command. Stop it first.")
    return f"Remove {folder} for good, with its database, keys, sign-ins and files ({size(folder) / 1e6:,.0f} MB)?"


def remove(folder: Path) -> None:
    """Remove a data directory; no fleet starts in it meanwhile. Raises as `question` does."""
    question(folder)
    held = hold_fleet(folder)
    try:
        trees.remove(folder.resolve(), within_s=inf)  # the owner may have put a link to another disk in its place
    finally:
        os.close(held)


def main(name: str) -> int:
    """Ask at the terminal, and remove; returns the exit code."""
    folder = Path(name).expanduser().absolute()
    try:
        sys.stdout.write(f"{question(folder)} [y/N]: ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            sys.stdout.write("Nothing was removed.\n")
            return 1
        remove(folder)
    except PdppError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"Removed {folder}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
