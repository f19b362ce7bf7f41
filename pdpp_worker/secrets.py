"""Credentials of connections: kept as references or encrypted, opened only in the worker that needs them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded import make_directory
from pdpp_worker.secret_forms import forms_of
from pdpp_worker.settings import Settings

MASK = "[secret]"
_SHORTEST_MASKED = 4


class Vault:
    """Seals and opens credentials.

    Forms: `env:NAME` reads a variable, `file:PATH` reads a file, `enc:…` is Fernet ciphertext under the vault's key.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def seal(self, value: str) -> str:
        """The stored form of a credential: references as they are, anything else encrypted."""
        if value.startswith(("env:", "file:")):
            return value
        return "enc:" + self._fernet().encrypt(value.encode()).decode()

    def open(self, name: str, stored: str) -> SecretStr:
        """The credential's value.

        Raises:
            ConfigurationError: naming the credential, why it cannot be read, and what to do.
        """
        form, _, rest = stored.partition(":")
        if form == "env":
            return SecretStr(self._from_variable(name, rest))
        if form == "file":
            return SecretStr(_from_file(name, Path(rest)))
        try:
            return SecretStr(self._fernet().decrypt(rest.encode()).decode())
        except InvalidToken:
            raise ConfigurationError(
                f"The stored credential {name} was sealed under another key; set PDPP_SECRET_KEY to that key, "
                "or store the credential again."
            ) from None

    def _from_variable(self, name: str, variable: str) -> str:
        value = self._settings.credential_variable(variable)
        if not value:
            raise ConfigurationError(
                f"The credential {name} is to come from the variable {variable}, which is not set."
            )
        return value

    def _fernet(self) -> Fernet:
        key = self._settings.secret_key
        try:
            return Fernet(key.get_secret_value() if key is not None else self._key_file())
        except ValueError:
            raise ConfigurationError(
                "The key for stored credentials is not a Fernet key (32 bytes, URL-safe base64)."
            ) from None

    def _key_file(self) -> bytes:
        path = self._settings.data_dir / "secret.key"
        try:
            return kept_key(path)
        except OSError as error:
            raise ConfigurationError(
                f"The key for stored credentials, {path}, cannot be read: {error.strerror}. "
                f"If another account made it, give it back with: sudo chown {os.geteuid()} '{path}'"
            ) from None


class Redactor:
    """Masks the secrets of one connection wherever text leaves for a log, an event or a row."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, secret: SecretStr) -> SecretStr:
        """Remember a secret that was handed out, and hand it on."""
        value = secret.get_secret_value()
        if len(value) >= _SHORTEST_MASKED:
            self._known.update(forms_of(value))
        return secret

    def __call__(self, text: str) -> str:
        """The text with every known secret masked, the longest first: one may be part of another."""
        for value in sorted(self._known, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text


def kept_key(path: Path) -> bytes:
    """The Fernet key in a file that only its owner can read; it is made where there is none."""
    if not path.exists():
        _make_key(path)
    return path.read_bytes()


def _make_key(path: Path) -> None:
    """Put a key there, whole or not at all, that only its owner can read; the first one to be put there stays."""
    make_directory(path.parent)
    with NamedTemporaryFile(dir=path.parent) as file:
        file.write(Fernet.generate_key())
        file.flush()
        with suppress(FileExistsError):
            path.hardlink_to(file.name)


def _from_file(name: str, path: Path) -> str:
    try:
        value = path.expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"The credential {name} cannot be read from {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The credential {name} cannot be read from {path}: it is not UTF-8 text.") from None
    if not value:
        raise ConfigurationError(f"The credential {name} is to come from {path}, which is empty.")
    return value
