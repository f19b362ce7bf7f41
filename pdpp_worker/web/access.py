"""Access to the console: one-time keys, the password, the cookie that they become, and tokens against forged forms."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import SecretStr

from pdpp_worker.local.embedded import make_directory
from pdpp_worker.local.locks import is_locked, lock
from pdpp_worker.secret_keys import kept_key
from pdpp_worker.settings import Settings

KEY_S = 24 * 3600
"""How long a one-time key waits to be used, s."""
SESSION_S = 30 * 24 * 3600
"""How long a cookie lets in, s."""
_SAID_S = 60
_NOTED_S = 60
"""A file that nobody holds is one that its console has left, unless it is about to be locked; s."""
_KEPT_S = 3600
"""How long a page may keep a credential that was typed, s."""
_SESSION, _SAID, _NAME, _KEPT = b"session", b"said:", b"name:", b"kept:"


class Access:
    """Tells who may use the console. It keeps files in `web` of the data directory, which outlive a restart.

    A one-time key is a file named after the key's hash: who removes it has used it, and only one can.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.data_dir / "web" / "keys"
        make_directory(settings.data_dir)
        for folder in (self._keys.parent, self._keys):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)  # an earlier version let others enter
        self._secret = kept_key(settings.data_dir / "web" / "secret.key")
        self._password = settings.web_password
        self._proxy_secret = settings.web_proxy_secret
        self._fernet = Fernet(self._secret)
        self._names = AESSIV(hashlib.sha256(_NAME + self._secret).digest())
        digest = hashlib.sha256(self._secret).hexdigest()[:8]
        self.cookie = f"pdpp-{digest}"
        """Name of the cookie: consoles of one machine share its cookies, whatever their ports are."""

    def new_key(self) -> str:
        """Make a one-time key."""
        key = secrets.token_urlsafe(24)
        self._file(key).touch(mode=0o600)
        return key

    def redeem(self, key: str) -> str | None:
        """Use a one-time key up; returns the value of a cookie, None: it is none, was used, or is too old."""
        file = self._file(key)
        with suppress(OSError):
            fresh = time.time() - file.stat().st_mtime <= KEY_S
            file.unlink()
            return self._new_session() if fresh else None
        return None

    def note_url(self, url: str) -> int:
        """Keep where a console listens, for links that are asked for later, until the descriptor is closed."""
        urls = self._keys.parent / "urls"
        urls.mkdir(mode=0o700, exist_ok=True)
        descriptor = lock(urls / f"{os.getpid()}-{secrets.token_hex(4)}", timeout_s=1.0)
        os.write(descriptor, url.encode())
        return descriptor

    def running_url(self) -> str | None:
        """Where the console listens that was started last and still runs; None: none does."""
        for noted_at, file in sorted(_times(self._keys.parent / "urls"), reverse=True):
            if is_locked(file):
                return file.read_text(encoding="utf-8")
            if time.time() - noted_at > _NOTED_S:
                file.unlink(missing_ok=True)
        return None

    @property
    def has_password(self) -> bool:
        """Whether a password lets in."""
        return self._password is not None

    def enter(self, password: str) -> str | None:
        """The value of a cookie for the password; None: it is wrong, or none is set."""
        return self._new_session() if _is_same(password, self._password) else None

    def is_proxy(self, secret: str | None) -> bool:
        """Whether a request comes through the owner's reverse proxy, which has signed them in."""
        return secret is not None and _is_same(secret, self._proxy_secret)

    def enter_by_proxy(self, secret: str | None) -> str | None:
        """The value of a cookie for who comes through the proxy; None: the secret is wrong, or none is set."""
        return self._new_session() if self.is_proxy(secret) else None

    def lets_in(self, cookie: str | None) -> bool:
        """Whether a cookie is one of this console's, and not too old."""
        return cookie is not None and self._opened(cookie, SESSION_S) == _SESSION

    def token(self, cookie: str) -> str:
        """The token that every form of this cookie's pages carries."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def is_token(self, cookie: str, token: str) -> bool:
        """Whether a form comes from one of this cookie's pages."""
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())

    def seal(self, said: str) -> str:
        """A sentence for the next page, as the value of a cookie."""
        return self._fernet.encrypt(_SAID + said.encode()).decode()

    def unseal(self, value: str | None) -> str | None:
        """The sentence that `seal` kept; None: there is none."""
        return _after(_SAID, self._opened(value, _SAID_S)) if value else None

    def keep_secret(self, value: str) -> str:
        """A credential that was typed, as the next page may carry it: only this console can read it, for an hour."""
        return self._fernet.encrypt(_KEPT + value.encode("utf-8", "surrogatepass")).decode()

    def kept_secret(self, value: str) -> str | None:
        """The credential that `keep_secret` kept; None: there is none, or it is too old."""
        return _after(_KEPT, self._opened(value, _KEPT_S)) if value else None

    def name_of(self, text: str) -> str:
        """A name for URLs of a text that is the owner's, such as a record's key: only this console can read it.

        A text has one name, so that a link is the same one each time that its page is made.
        """
        return urlsafe_b64encode(self._names.encrypt(_NAME + text.encode("utf-8", "surrogatepass"), None)).decode()

    def text_of(self, name: str) -> str | None:
        """The text behind a name; None: it is none of this console's."""
        try:
            return _after(_NAME, self._names.decrypt(urlsafe_b64decode(name), None))
        except (InvalidTag, ValueError):
            return _after(_NAME, self._opened(name, None))  # a link that an earlier version made

    def _new_session(self) -> str:
        return self._fernet.encrypt(_SESSION).decode()

    def _opened(self, value: str, ttl_s: int | None) -> bytes | None:
        try:
            return self._fernet.decrypt(value.encode(), ttl=ttl_s)
        except InvalidToken:
            return None

    def _file(self, key: str) -> Path:
        return self._keys / hashlib.sha256(key.encode()).hexdigest()


def _is_same(given: str, wanted: SecretStr | None) -> bool:
    """Whether it is the secret, in a time that does not tell how much of it is right."""
    return wanted is not None and hmac.compare_digest(given.encode(), wanted.get_secret_value().encode())


def link_to(url: str, access: Access) -> str:
    """A link to a console that lets in once."""
    return f"{url}/enter?key={access.new_key()}"


def _after(kind: bytes, opened: bytes | None) -> str | None:
    """The text of what was sealed as this kind."""
    if opened is None or not opened.startswith(kind):
        return None
    return opened.removeprefix(kind).decode("utf-8", "surrogatepass")


def _times(folder: Path) -> Iterator[tuple[float, Path]]:
    """Files with the time of their last change; one may go meanwhile."""
    for file in folder.glob("*"):
        with suppress(OSError):
            yield file.stat().st_mtime, file
