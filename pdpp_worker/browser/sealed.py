"""A folder sealed into one file and opened again: a tar archive in encrypted pieces."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

from pdpp_worker.secret_keys import Keys
from pdpp_worker.stored_files.file_forms import open_sealed
from pdpp_worker.stored_files.sealing import PIECE_BYTES, SealedWriter

BEGUN = ".begun"
"""End of the name of what is being written."""


def seal(folder: Path, file: Path, keys: Keys) -> None:
    """Put a folder into a file, whole or not at all, and remove it."""
    begun = file.with_name(f"{file.name}{BEGUN}")
    with open(begun, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        pieces = SealedWriter(cast("BinaryIO", out), keys)
        with tarfile.open(fileobj=cast("BinaryIO", pieces), mode="w|") as archive:
            archive.add(folder, "")
        pieces.end()
        out.flush()
        os.fsync(out.fileno())
    begun.replace(file)
    shutil.rmtree(folder)


def unseal(file: Path, folder: Path, keys: Keys) -> None:
    """Bring back the folder that a file holds, whole or not at all; the file stays.

    Raises:
        ConfigurationError: no key opens it, or it is damaged.
    """
    begun = folder.with_name(f"{folder.name}{BEGUN}")
    shutil.rmtree(begun, ignore_errors=True)
    with open_sealed(file, keys) as pieces, tarfile.open(fileobj=cast("BinaryIO", pieces), mode="r|") as archive:
        archive.extractall(begun, filter="data")
        while pieces.read(PIECE_BYTES):  # the archive may end before its file does, which has to be whole too
            pass
    begun.rename(folder)
