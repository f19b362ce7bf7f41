"""Prints the first of some paths that another user cannot read; exits with 2 if there is one.

    reach.py IDENTITY FOLDER COUNT PATH... HOW:PATH...

Relative paths begin in FOLDER. HOW is `enter` for a directory, `read`, or `all` for a directory with all that lies
below it. The process becomes that user, with the same view as a command has (see `subreaper`), before it looks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

if __name__ == "__main__":  # it is run by its path
    sys.path.insert(0, str(Path(__file__).parents[2]))

from pdpp_worker.command.other_user import Identity
from pdpp_worker.command.subreaper import FolderBarredError, enter

BARRED = 2
"""Exit status where a path cannot be read."""
MOST = 10_000
"""Entries of a directory that are looked at."""


def main(arguments: Sequence[str]) -> int:
    """Look at the paths in their order; returns the exit status."""
    count = int(arguments[2])
    try:
        enter(Identity(arguments[0]), arguments[1], arguments[3 : 3 + count])
    except FolderBarredError:
        sys.stdout.write(arguments[1])
        return BARRED
    for asked in arguments[3 + count :]:
        how, _, path = asked.partition(":")
        for entry in (Path(path), *islice(_below(path), MOST if how == "all" else 0)):
            if not _can(how, entry):
                sys.stdout.write(str(entry))
                return BARRED
    return 0


def _can(how: str, path: Path) -> bool:
    if how == "enter":
        return os.access(path, os.X_OK)
    with suppress(PermissionError):
        return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)
    return False


def _below(directory: str) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*folders, *files))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
