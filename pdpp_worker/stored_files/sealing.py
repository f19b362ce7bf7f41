"""The form of an encrypted file: pieces under a key of the file's own, of which none can be left out or moved.

A file begins with a mark and a salt. Each piece is its size (4 bytes) and AES-256-GCM of up to `PIECE_BYTES`; its nonce
is its number, and the last piece says that it is the last. All pieces but the last have one size, so that any place in
the file is found without reading what stands before it.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_keys import Keys

PIECE_BYTES = 1024 * 1024
MARK = b"pdpp-sealed-1"
_SALT_BYTES = 16
HEAD_BYTES = len(MARK) + _SALT_BYTES
_SIZE = struct.Struct(">I")
_TAG_BYTES = 16
_MORE, _LAST = b"more", b"last"


class SealedWriter:
    """Encrypts what is written to it, under the first key; `end` has to be called."""

    def __init__(self, out: BinaryIO, keys: Keys) -> None:
        self._out, self._number, self._held = out, 0, bytearray()
        head = MARK + os.urandom(_SALT_BYTES)
        self._cipher = AESGCM(keys.derived(head)[0])
        out.write(head)

    def write(self, data: bytes) -> int:
        """Take more bytes."""
        left = memoryview(data)
        while left:
            if len(self._held) == PIECE_BYTES:  # more follows, so this piece is not the last
                self._write_piece(_MORE)
            part = left[: PIECE_BYTES - len(self._held)]
            self._held += part
            left = left[len(part) :]
        return len(data)

    def end(self) -> None:
        """Write the last piece."""
        self._write_piece(_LAST)

    def _write_piece(self, place: bytes) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number), self._held, place)
        self._out.write(_SIZE.pack(len(sealed)))
        self._out.write(sealed)
        self._number += 1
        self._held.clear()


class SealedReader(io.RawIOBase):
    """The clear bytes of an encrypted file, from any place in it; holds one piece in memory.

    Reading raises ConfigurationError, with the name of the file, where no key opens it, or it is damaged.
    """

    def __init__(self, sealed: BinaryIO, keys: Keys, file: Path) -> None:
        """`sealed` is at its beginning, and is closed with this."""
        self._sealed, self._file = sealed, file
        head = sealed.read(HEAD_BYTES)
        self._ciphers = [AESGCM(key) for key in keys.derived(head)]
        self._body = sealed.seek(0, os.SEEK_END) - HEAD_BYTES
        self._at = 0
        self._held_number, self._held = -1, b""

    @property
    def size(self) -> int:
        """The clear bytes."""
        return clear_size(self._body + HEAD_BYTES)

    @property
    def is_newest(self) -> bool:
        """Whether the first key opens it; raises as reading does."""
        newest = self._ciphers[0]
        self._piece(0)
        return self._ciphers[0] is newest

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, in clear bytes."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer, at most to the end of a piece."""
        if self._at and self._at >= self.size:
            self._piece(self._pieces - 1)  # else the file was cut, and this is not its end
            return 0
        number, inner = divmod(self._at, PIECE_BYTES)
        part = self._piece(number)[inner : inner + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Close the file."""
        self._sealed.close()
        super().close()

    @property
    def _pieces(self) -> int:
        return max(1, -(-self._body // (_SIZE.size + PIECE_BYTES + _TAG_BYTES)))

    def _piece(self, number: int) -> bytes:
        if number != self._held_number:
            self._held, self._held_number = self._open(number), number
        return self._held

    def _open(self, number: int) -> bytes:
        whole = _SIZE.size + PIECE_BYTES + _TAG_BYTES
        self._sealed.seek(HEAD_BYTES + number * whole)
        told, piece = self._sealed.read(_SIZE.size), self._sealed.read(whole - _SIZE.size)
        if told != _SIZE.pack(len(piece)):
            piece = b""
        place = _LAST if number == self._pieces - 1 else _MORE
        for cipher in self._ciphers:
            try:
                opened = cipher.decrypt(_nonce(number), piece, place)
            except (InvalidTag, ValueError):
                continue
            self._ciphers = [cipher]
            return opened
        raise ConfigurationError(
            f"{self._file} cannot be opened: it is damaged, or was sealed under another key than PDPP_SECRET_KEY."
        )


def clear_size(sealed_size: int) -> int:
    """The clear bytes of an encrypted file of so many bytes."""
    body = sealed_size - HEAD_BYTES
    each = _SIZE.size + _TAG_BYTES
    return max(0, body - max(1, -(-body // (PIECE_BYTES + each))) * each)


def _nonce(number: int) -> bytes:
    """The number of a piece; no two of a file share one, and no two files share a key."""
    return number.to_bytes(12, "big")
