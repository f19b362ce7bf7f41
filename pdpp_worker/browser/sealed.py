"""A folder sealed into one file and opened again: a tar archive in encrypted pieces, of which none can be left out."""

from __future__ import annotations

import os
import shutil
import struct
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_keys import Keys

PIECE_BYTES = 1024 * 1024
_MARK, _SALT_BYTES = b"pdpp-sealed-1", 16
_SIZE = struct.Struct(">I")
_MORE, _LAST = b"more", b"last"


def seal(folder: Path, file: Path, keys: Keys) -> None:
    """Put a folder into a file, whole or not at all, and remove it."""
    begun = file.with_name(f"{file.name}.begun")
    salt = os.urandom(_SALT_BYTES)
    with open(begun, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write(_MARK + salt)
        pieces = _Writer(out, AESGCM(keys.derived(_MARK + salt)[0]))
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
    begun = folder.with_name(f"{folder.name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    with file.open("rb") as sealed:
        head = sealed.read(len(_MARK) + _SALT_BYTES)
        pieces = _Reader(sealed, [AESGCM(key) for key in keys.derived(head)], file)
        with tarfile.open(fileobj=cast("BinaryIO", pieces), mode="r|") as archive:
            archive.extractall(begun, filter="data")
    begun.rename(folder)


class _Writer:
    """Encrypts what is written to it, piece by piece."""

    def __init__(self, out: BinaryIO, cipher: AESGCM) -> None:
        self._out, self._cipher, self._number, self._held = out, cipher, 0, bytearray()

    def write(self, data: bytes) -> int:
        """Take more bytes."""
        self._held += data
        while len(self._held) > PIECE_BYTES:
            self._write_piece(bytes(self._held[:PIECE_BYTES]), _MORE)
            del self._held[:PIECE_BYTES]
        return len(data)

    def end(self) -> None:
        """Write the last piece, which says that it is the last."""
        self._write_piece(bytes(self._held), _LAST)

    def _write_piece(self, piece: bytes, place: bytes) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number), piece, place)
        self._out.write(_SIZE.pack(len(sealed)) + sealed)
        self._number += 1


class _Reader:
    """Decrypts what is read from it, piece by piece."""

    def __init__(self, sealed: BinaryIO, ciphers: list[AESGCM], file: Path) -> None:
        self._sealed, self._ciphers, self._file = sealed, ciphers, file
        self._number, self._held, self._ended = 0, bytearray(), False

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        while len(self._held) < size and not self._ended:
            self._held += self._next_piece()
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _next_piece(self) -> bytes:
        head = self._sealed.read(_SIZE.size)
        size = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else 0
        piece = self._sealed.read(min(size, 2 * PIECE_BYTES))
        for cipher in self._ciphers:
            for place in (_MORE, _LAST):
                try:
                    opened = cipher.decrypt(_nonce(self._number), piece, place)
                except (InvalidTag, ValueError):
                    continue
                self._ciphers, self._number, self._ended = [cipher], self._number + 1, place == _LAST
                return opened
        raise ConfigurationError(
            f"{self._file} cannot be opened: it is damaged, or was sealed under another key than PDPP_SECRET_KEY."
        )


def _nonce(number: int) -> bytes:
    """The number of a piece; no two of a file share one, and no two files share a key."""
    return number.to_bytes(12, "big")
