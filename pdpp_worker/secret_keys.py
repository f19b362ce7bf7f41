"""The keys under which credentials are sealed: the first one writes, all of them read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, MultiFernet

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import make_directory
from pdpp_worker.settings import Settings

FILE = "secret.key"
"""In the data directory; a key a line."""
_BETWEEN = re.compile(rb"[\s,]+")
_PURPOSE = b"pdpp-worker: credential of one place"
_LOCK_S = 10.0


class Keys:
    """The keys of one moment."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys`: Fernet keys, the one that writes first.

        Raises:
            ConfigurationError: one of them is no key, or there is none.
        """
        try:
            self.free = MultiFernet([Fernet(key) for key in keys])
            """Seals and opens what is bound to no place, as the first versions did."""
            self.bound = MultiFernet([_bound(key) for key in keys])
            """Seals and opens what names its place. Its keys are derived: neither kind passes for the other."""
            self.newest = _bound(keys[0])
            self._raw = [base64.urlsafe_b64decode(key) for key in keys]
        except (ValueError, IndexError):
            raise ConfigurationError(
                "The key for stored credentials is not a Fernet key (32 bytes, URL-safe base64)."
            ) from None

    def derived(self, purpose: bytes) -> list[bytes]:
        """Keys of 32 bytes for another purpose, in the same order."""
        return [hmac.new(key, purpose, hashlib.sha256).digest() for key in self._raw]


def read_keys(settings: Settings) -> Keys:
    """The keys of the settings, else of the key file, which is made where there is none.

    Raises:
        ConfigurationError: a key is none, or the file cannot be read.
    """
    return all_keys(settings)


def all_keys(settings: Settings, more: bytes = b"") -> Keys:
    """The same keys, and after them those of the content of another key file; raises as `read_keys` does."""
    given = settings.secret_key
    held = given.get_secret_value().encode() if given is not None else _key_file(settings.data_dir / FILE)
    return Keys([key for key in _BETWEEN.split(held + b"\n" + more) if key])


def add_key(settings: Settings) -> None:
    """Put a new key before those of the key file; processes that run use it from now on.

    Raises:
        ConfigurationError: the keys are in the settings, or the file cannot be written.
    """
    if settings.secret_key is not None:
        raise ConfigurationError(
            "The keys are in PDPP_SECRET_KEY: put a new one before them there, with a comma between, and start the "
            "fleet again. Then give the command without --new-key."
        )
    path = settings.data_dir / FILE
    _key_file(path)
    with locks.locked(path.with_name(f"{FILE}.lock"), timeout_s=_LOCK_S):
        _replace(path, Fernet.generate_key() + b"\n" + path.read_bytes())


def kept_key(path: Path) -> bytes:
    """The Fernet key in a file that only its owner can read; it is made where there is none."""
    if not path.exists():
        _make_key(path)
    return path.read_bytes()


def _bound(key: bytes) -> Fernet:
    """The key, derived from this one, for ciphertext that names its place.

    Raises:
        ValueError: it is no key.
    """
    Fernet(key)
    derived = hmac.new(base64.urlsafe_b64decode(key), _PURPOSE, hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(derived))


def _key_file(path: Path) -> bytes:
    try:
        return kept_key(path)
    except OSError as error:
        raise ConfigurationError(
            f"The key for stored credentials, {path}, cannot be read: {error.strerror}. "
            f"If another account made it, give it back with: sudo chown {os.geteuid()} '{path}'"
        ) from None


def _make_key(path: Path) -> None:
    """Put a key there, whole or not at all, that only its owner can read; the first one to be put there stays."""
    make_directory(path.parent)
    with NamedTemporaryFile(dir=path.parent) as file:
        file.write(Fernet.generate_key())
        file.flush()
        with suppress(FileExistsError):
            path.hardlink_to(file.name)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is at no moment there in part, also when the machine stops."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
