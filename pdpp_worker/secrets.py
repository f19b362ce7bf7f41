"""Credentials of connections: kept as references or encrypted, opened only in the worker that needs them."""

from __future__ import annotations

import json
from typing import NamedTuple

from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_forms import ends_within, forms_of, masked
from pdpp_worker.secret_keys import read_keys
from pdpp_worker.secret_sources import is_reference, read_reference
from pdpp_worker.settings import Settings

MASK = "[secret]"
_SHORTEST_MASKED = 4
_BOUND, _FREE = "bound:", "enc:"


class Place(NamedTuple):
    """A credential of a connection: its ciphertext opens there alone."""

    connector: str
    connection: str
    name: str


class Vault:
    """Seals and opens credentials.

    Forms: `env:NAME`, `file:PATH` and `keyring:SERVICE/USER` are read where they are kept. `bound:…` is Fernet
    ciphertext that names its place; `enc:…` names none, as the first versions wrote it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def seal(self, value: str, place: Place | None = None) -> str:
        """The stored form of a credential: references as they are, anything else encrypted.

        Without a place it opens anywhere, until it is rewritten for one.
        """
        if is_reference(value):
            return value
        keys = read_keys(self._settings)
        if place is None:
            return _FREE + keys.free.encrypt(value.encode()).decode()
        return _BOUND + keys.bound.encrypt(json.dumps([*place, value]).encode()).decode()

    def open(self, place: Place | str, stored: str) -> SecretStr:
        """The credential's value. Its place, or its name alone where it is bound to none.

        Raises:
            ConfigurationError: naming the credential, why it cannot be read, and what to do.
        """
        name = place if isinstance(place, str) else place.name
        if is_reference(stored):
            return SecretStr(read_reference(self._settings, name, stored))
        form, _, rest = stored.partition(":")
        keys = read_keys(self._settings)
        if f"{form}:" != _BOUND:
            return SecretStr(_decrypted(keys.free, name, rest))
        *bound_to, value = json.loads(_decrypted(keys.bound, name, rest))
        if tuple(bound_to) != place:
            raise ConfigurationError(
                f"The stored credential {name} was sealed for another one ({bound_to[2]} of the connection "
                f"{bound_to[1]} of {bound_to[0]}), and opens there alone; store the credential again."
            )
        return SecretStr(value)

    def renew(self, place: Place, stored: str) -> str | None:
        """The credential sealed under the newest key for its place; None: it is so already, or is a reference.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        if is_reference(stored):
            return None
        opened = self.open(place, stored)
        if self._is_newest(stored):
            return None
        return self.seal(opened.get_secret_value(), place)

    def _is_newest(self, stored: str) -> bool:
        form, _, rest = stored.partition(":")
        try:
            read_keys(self._settings).newest.decrypt(rest.encode())
        except InvalidToken:
            return False
        return f"{form}:" == _BOUND


class Redactor:
    """Masks the secrets of one connection wherever text leaves for a log, an event or a row."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()
        """The longest first: one may be part of another."""

    def learn(self, secret: SecretStr) -> SecretStr:
        """Remember a secret that was handed out, and hand it on."""
        value = secret.get_secret_value()
        if len(value) >= _SHORTEST_MASKED:
            self._known = tuple(sorted({*self._known, *forms_of(value)}, key=len, reverse=True))
        return secret

    def __call__(self, text: str) -> str:
        """The text with every known secret masked, also one that stands there with spaces or line ends in between."""
        return masked(text, self._known, MASK)

    def ends_within(self, text: str) -> bool:
        """Whether the text ends within a secret, whose rest may come next."""
        return ends_within(text, self._known)


def _decrypted(keys: MultiFernet, name: str, rest: str) -> str:
    try:
        return keys.decrypt(rest.encode()).decode()
    except InvalidToken:
        raise ConfigurationError(
            f"The stored credential {name} was sealed under another key; set PDPP_SECRET_KEY to that key, "
            "or store the credential again."
        ) from None
