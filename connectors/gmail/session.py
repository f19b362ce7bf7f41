"""One signed-in connection at a time. Every command waits for its turn, and one that broke off is asked once more.

One FETCH may be sent ahead: its answers are read before any other command is sent.
"""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from imapclient.imap_utf7 import encode as encode_utf7

from connectors.gmail.ahead import Ahead, Entered
from connectors.gmail.client import UNREADABLE, Answer, Client
from connectors.gmail.errors import HungUpError, LostError, RefusedError, SilentError
from connectors.gmail.exchange import ended_in_time, refusal_of, typed_failures
from connectors.gmail.opening import Opened, opener
from pdpp_worker.connector import Context, ProviderError, ShapeError, UpstreamError

T = TypeVar("T")


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
        self._ahead: Ahead | None = None
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
            # After a command whose answers nobody wants, a good-bye would have to wait for all of them.
            with suppress(imaplib.IMAP4.error, OSError):
                if self._ahead is None:
                    client.leave()
                    return
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
        self._settle()
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

    def ahead(self, label: str, messages: str, items: Sequence[str]) -> Callable[[], dict[int, Answer]]:
        """Send a FETCH whose answers are wanted later, if the connection is there; returns what gives them.

        That raises what `ask` would have raised.
        """
        self._settle()
        sent = Ahead(label, messages, items, self._client if self._proved else None)
        if sent.client is not None:
            self._send_ahead(sent, sent.client)
        return lambda: self._answers(sent)

    def _send_ahead(self, sent: Ahead, client: Client) -> None:
        turn = self._context.pace()
        turn.__enter__()
        try:
            with typed_failures(sent.label, client.last_words):
                sent.tag = client.send_fetch(sent.messages, sent.items)
        except ProviderError as error:
            turn.__exit__(type(error), error, error.__traceback__)
            self._drop()
        else:
            sent.turn, self._ahead = turn, sent

    def _settle(self) -> None:
        """Read the answers to the command that was sent ahead."""
        sent, self._ahead = self._ahead, None
        if sent is None or sent.turn is None or sent.client is None:
            return
        try:
            sent.answers = self._send(sent.label, sent.client, sent.take, Entered(sent.turn))
        except LostError:
            self._context.log.info("the connection broke; making another")
        except ProviderError as error:
            sent.failure = error

    def _answers(self, sent: Ahead) -> dict[int, Answer]:
        if self._ahead is sent:
            self._settle()
        if sent.failure is not None:
            raise sent.failure
        return sent.answers if sent.answers is not None else self.ask(sent.label, sent.ask)

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

    def _send(
        self,
        label: str,
        client: Client,
        command: Callable[[Client], T],
        turn: AbstractContextManager[None] | None = None,
    ) -> T:
        refusal: RefusedError | ShapeError | None = None
        try:
            with turn or self._context.pace(), typed_failures(label, client.last_words), ended_in_time(client.socket()):
                try:
                    answer = command(client)
                except ShapeError as error:
                    refusal = error
                except UNREADABLE as error:
                    refusal = ShapeError(f"{label}: the answer cannot be read ({type(error).__name__})")
                except imaplib.IMAP4.abort:
                    raise
                except imaplib.IMAP4.error as error:
                    refusal = refusal_of(label, error)
        except ProviderError:
            self._drop()
            raise
        finally:
            self._context.received(client.take_received())
        self._proved = True
        if refusal is not None:
            raise refusal
        return answer

    def _connect(self) -> Client:
        self._proved = False
        opens = opener(self._context.settings, self._context.secret)
        ahead = self._context.opened_ahead()
        if isinstance(ahead, Opened):
            self._client, self.capabilities = ahead
        else:
            with self._context.pace():
                self._client, self.capabilities = opens()
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                client.shutdown()
