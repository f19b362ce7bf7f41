"""One signed-in connection at a time. Every command waits for its turn, and one that broke off is asked once more."""

from __future__ import annotations

import imaplib
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from imapclient.imap_utf7 import encode as encode_utf7

from connectors.gmail.client import UNREADABLE, Client
from connectors.gmail.errors import (
    APP_PASSWORD,
    HungUpError,
    LostError,
    RefusedError,
    SilentError,
    lost_connections,
    quoted,
    typed,
    words_of,
)
from pdpp_worker.connector import AuthExpired, ConfigurationError, Context, ProviderError, ShapeError, UpstreamError

LONGEST_ANSWER_S = 180.0
"""From a command to the end of its answer; the socket's timeout bounds only the pauses within."""

T = TypeVar("T")

_GOOGLE_FORM = re.compile(r"[a-z]{4}( [a-z]{4}){3}")
"""An app password as Google shows it; the spaces are no part of it."""


@dataclass(frozen=True)
class Selected:
    """A mailbox as it was when it was opened."""

    name: str
    exists: int
    uidvalidity: int
    uidnext: int
    modseq: int | None
    """HIGHESTMODSEQ; None where the server keeps none."""


class Session:
    """Commands to a server; all methods raise ProviderError."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client: Client | None = None
        self._proved = False
        self._selected: Selected | None = None
        self.spelled: dict[str, bytes] = {}
        """Names of mailboxes as the server writes them, where it listed them."""
        self.capabilities: frozenset[str] = frozenset()

    @property
    def speaks_gmail(self) -> bool:
        """Whether the server has Gmail's extensions: labels, thread and message ids."""
        return "X-GM-EXT-1" in self.capabilities

    def open(self) -> None:
        """Connect and sign in.

        Raises:
            AuthExpired: the credentials are refused, or none are set.
            ConfigurationError: the settings name no server that can be asked.
        """
        self._connect()

    def close(self) -> None:
        """Sign off, if the connection is still there."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                client.logout()
            with suppress(imaplib.IMAP4.error, OSError):
                client.shutdown()

    def select(self, name: str) -> Selected:
        """Open a mailbox for reading only."""
        self._selected = None
        self._selected = self.ask(f"EXAMINE of {name!r}", lambda client: self._examine(client, name))
        return self._selected

    def ask(self, label: str, command: Callable[[Client], T]) -> T:
        """Send one command when its turn has come.

        Raises:
            RefusedError: the server said NO or BAD to this command.
            HungUpError: the connection broke, and so did a new one, again by this command.
            LostError: the server cannot be reached any more.
        """
        if self._client is not None and self._proved:
            try:
                return self._send(label, self._client, command)
            except LostError:
                self._context.log.info("the connection broke; making another")
        client = self._renewed()
        try:
            return self._send(label, client, command)
        except LostError as error:
            raise HungUpError(str(error), reason=error.reason) from error

    def _renewed(self) -> Client:
        if self._client is None:
            try:
                client = self._connect()
            except RefusedError as error:
                raise UpstreamError(str(error)) from error
            if self._selected is not None:
                self._open_again(client, self._selected)
            return client
        return self._client

    def _open_again(self, client: Client, before: Selected) -> None:
        now = self._send(f"EXAMINE of {before.name!r}", client, lambda one: self._examine(one, before.name))
        if now.uidvalidity != before.uidvalidity:
            raise UpstreamError(f"the mailbox {before.name!r} was made anew while it was read")

    def _examine(self, client: Client, name: str) -> Selected:
        said: dict[bytes, Any] = client.select_folder(self.spelled.get(name, encode_utf7(name)), readonly=True)
        if b"EXISTS" not in said:
            raise SilentError(f"the server does not say how many messages {name!r} has")
        exists, uidnext = int(said[b"EXISTS"]), said.get(b"UIDNEXT")
        if uidnext is None:
            uidnext = max(client.existing("*"), default=0) + 1 if exists else 1
        return Selected(
            name, exists, int(said.get(b"UIDVALIDITY", 0)), int(uidnext), said.get(b"HIGHESTMODSEQ") or None
        )

    def _send(self, label: str, client: Client, command: Callable[[Client], T]) -> T:
        refusal: RefusedError | ShapeError | None = None
        try:
            with self._context.pace(), _typed(label, client.last_words), _ended_in_time(client.socket()):
                try:
                    answer = command(client)
                except ShapeError as error:
                    refusal = error
                except UNREADABLE as error:
                    refusal = ShapeError(f"{label}: the answer cannot be read ({type(error).__name__})")
                except imaplib.IMAP4.abort:
                    raise
                except imaplib.IMAP4.error as error:
                    refusal = _refusal(label, error)
        except ProviderError:
            self._drop()
            raise
        self._proved = True
        if refusal is not None:
            raise refusal
        return answer

    def _connect(self) -> Client:
        self._proved = False
        user, sign_in = self._credentials()
        with ExitStack() as undo:
            undo.callback(self._drop)
            with self._context.pace(), _typed("connecting", self._last_words):
                client = self._greet()
                with _ended_in_time(client.socket()):
                    self._secure(client)
                    _sign_in(client, user, sign_in)
                    self.capabilities = frozenset(
                        one.decode("ascii", "replace").upper() for one in client.capabilities()
                    )
            if {"ENABLE", "CONDSTORE"} <= self.capabilities:
                # Some servers count changes only from here on.
                with suppress(RefusedError):
                    self._send("ENABLE", client, lambda one: one.enable("CONDSTORE"))
            undo.pop_all()
        self._proved = False
        return client

    def _greet(self) -> Client:
        settings = self._context.settings
        host, mode = str(settings["host"]), str(settings["tls"])
        if mode not in ("tls", "starttls", "plain"):
            raise ConfigurationError(f"The setting tls is {mode!r}; it must be tls, starttls or plain.")
        if mode == "plain" and not _is_loopback(host):
            raise ConfigurationError(f"tls=plain would send the password in the clear to {host}; use tls or starttls.")
        context = _trust(settings.get("ca_file")) if mode == "tls" else None
        self._client = Client(
            host, settings["port"], ssl=mode == "tls", ssl_context=context, timeout=settings["timeout_s"]
        )
        return self._client

    def _secure(self, client: Client) -> None:
        settings = self._context.settings
        if settings["tls"] == "starttls":
            client.starttls(_trust(settings.get("ca_file")))

    def _credentials(self) -> tuple[str, Callable[[Client, str], None]]:
        user = self._context.settings.get("user")
        if not user:
            raise ConfigurationError("The setting user is missing; set it to the address of the account.")
        with suppress(AuthExpired):
            token = self._context.secret("oauth_token").get_secret_value()
            return str(user), lambda client, name: client.sign_in("XOAUTH2", _bearer(name, token))
        password = self._context.secret("password").get_secret_value()
        if _GOOGLE_FORM.fullmatch(password):
            password = password.replace(" ", "")
        return str(user), lambda client, name: _by_password(client, name, password)

    def _last_words(self) -> str:
        return self._client.last_words() if self._client is not None else ""

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                client.shutdown()


def _sign_in(client: Client, user: str, sign_in: Callable[[Client, str], None]) -> None:
    try:
        sign_in(client, user)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        said = words_of(error)
        raise typed(said, "signing in") or AuthExpired(f"signing in: {quoted(said)}; {APP_PASSWORD}") from None
    except UnicodeError:
        raise AuthExpired("the user or password has characters that this server cannot be told") from None


def _by_password(client: Client, user: str, password: str) -> None:
    offered = client.capabilities()
    if b"AUTH=PLAIN" in offered:
        client.sign_in("PLAIN", lambda _: f"\0{user}\0{password}")
    elif b"LOGINDISABLED" in offered:
        raise ConfigurationError("The server takes no password on this connection; set tls to tls or starttls.")
    else:
        client.sign_in_by_login(user, password)


def _bearer(user: str, token: str) -> Callable[[bytes], str]:
    # A challenge after the first answer holds the reason of a refusal; an empty line lets the server end it.
    return lambda challenge: "" if challenge else f"user={user}\1auth=Bearer {token}\1\1"


@contextmanager
def _typed(label: str, last_words: Callable[[], str]) -> Iterator[None]:
    with lost_connections(label, last_words):
        try:
            yield
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise _refusal(label, error) from None


def _refusal(label: str, error: imaplib.IMAP4.error) -> RefusedError:
    """Raises what the words stand for where that concerns more than this one command."""
    said = words_of(error)
    if (outcome := typed(said, label)) is not None:
        raise outcome from None
    return RefusedError(f"{label}: {quoted(said)}")


@contextmanager
def _ended_in_time(sock: socket.socket) -> Iterator[None]:
    """Hang up on a server that trickles: its answer has to be there by a deadline."""

    def hang_up() -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(LONGEST_ANSWER_S, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _trust(ca_file: Any) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigurationError(f"The certificates in {ca_file} cannot be read ({error.strerror}).") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
