"""IMAPClient, with answers to FETCH kept apart by message and read no further than is needed."""

from __future__ import annotations

import base64
import imaplib
import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from imapclient import IMAPClient
from imapclient.datetime_util import parse_to_datetime
from imapclient.exceptions import ProtocolError
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from connectors.gmail.answers import values
from connectors.gmail.exchange import ended_in_time
from connectors.gmail.uid_ranges import uids_told

Answer = dict[str, Any]
"""The server's answer about one message: items by their upper-case names."""

# The library writes commands, passwords among them, to its debug log.
logging.getLogger("imapclient").setLevel(logging.WARNING)
LARGEST_LITERAL = 128 * 1024 * 1024
"""Bytes that a server may send in one piece; the standard library believes, and makes room for, any number."""
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes that a server may send from one command to the next: the library keeps all lines, asked for or not."""
# One line of an answer may list every message of a large mailbox; the standard library's limit is 1 MB.
imaplib._MAXLINE = 32_000_000  # type: ignore[attr-defined]  # noqa: SLF001

_UID = re.compile(rb"\bUID (\d+)")
_UID_ALONE = re.compile(rb"\* \d+ FETCH \(UID (\d+)\)\r\n")
"""An answer that tells a UID and nothing else."""
Listed = list[tuple[Sequence[bytes], bytes | None, Any]]
"""The lines of LIST: attributes, delimiter, name."""
UNREADABLE = (ProtocolError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""The library's failures for an answer that breaks the grammar."""


class Fetches(Protocol):
    """Anything that answers FETCH: a connection to a server, or mails of a file."""

    def fetch_by_uid(self, messages: str, items: Sequence[str], changed_since: int | None = None) -> dict[int, Answer]:
        """The answers about these messages (a sequence set of UIDs), by UID."""
        ...

    def existing(self, messages: str) -> list[int]:
        """The messages among these that are there, ascending."""
        ...


class _Greeted(imaplib.IMAP4):
    """The library's connection, which asks for the capabilities only where the greeting does not tell them."""

    def _connect(self) -> None:
        with ended_in_time(self.sock):
            super()._connect()  # type: ignore[misc]

    def _get_capabilities(self) -> None:
        if self._tls_established:
            # Anybody on the way may have written what came in the clear (RFC 2595 3.1), answers to later commands too.
            self.untagged_responses.clear()
        told = self.untagged_responses.pop("CAPABILITY", [None])[-1]
        if isinstance(told, bytes):
            self.capabilities = tuple(told.decode("ascii", "replace").upper().split())
        else:
            super()._get_capabilities()  # type: ignore[misc]


class _GreetedPlain(_Greeted, IMAP4WithTimeout):  # type: ignore[misc]
    pass


class _GreetedTls(_Greeted, IMAP4_TLS):  # type: ignore[misc]
    pass


class Client(IMAPClient):  # type: ignore[misc]
    """One connection to a server. Names of mailboxes are bytes, as the server spells them."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.folder_encode = False
        # The library sends the end of a line by itself; held back until the line is acknowledged, it would take 40 ms.
        self.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # At the library's own level every answer is formatted for a log that nobody reads: a third of the time.
        self._imap.debug = 0
        self._read_literal, self._read_line, self._send = self._imap.read, self._imap.readline, self._imap.send
        self._imap.read, self._imap.readline, self._imap.send = self._read_bounded, self._read_counted, self._send_anew
        self._received = self._answered = 0
        self._unread: bytes | None = None
        """A line that was read, and is the library's to read."""

    def _create_IMAP4(self) -> _Greeted:  # noqa: N802 - the library's name
        wait_s = self._timeout.connect
        if self.ssl:
            return _GreetedTls(self.host, self.port, self.ssl_context, wait_s)  # type: ignore[call-arg]
        return _GreetedPlain(self.host, self.port, wait_s)

    @property
    def offered(self) -> frozenset[str]:
        """The capabilities that the server told before the sign-in."""
        return frozenset(self._imap.capabilities)

    def fetch_by_uid(self, messages: str, items: Sequence[str], changed_since: int | None = None) -> dict[int, Answer]:
        """The server's answers about these messages (a sequence set of UIDs), by UID."""
        return self.answers(self.send_fetch(messages, items, changed_since))

    def send_fetch(self, messages: str, items: Sequence[str], changed_since: int | None = None) -> bytes:
        """Send a FETCH; returns its tag, for `answers`. No other command may be sent before its answers are read."""
        modifiers = [f"(CHANGEDSINCE {changed_since})"] if changed_since is not None else []
        return bytes(self._imap._command("UID", "FETCH", messages, f"({' '.join(items)})", *modifiers))  # noqa: SLF001

    def answers(self, tag: bytes) -> dict[int, Answer]:
        """The answers to a FETCH that was sent, by UID."""
        return _by_uid(values(self._lines(tag)))

    def take_received(self) -> int:
        """The bytes that came since this was last called."""
        received, self._received = self._received, 0
        return received

    def existing(self, messages: str) -> list[int]:
        """The messages among these that are there, ascending. SEARCH may be cut short by a server; FETCH is not."""
        tag = self.send_fetch(messages, ["UID"])
        alone = list(self._uids_alone())
        found = (_UID.search(line) for line in self._lines(tag) if isinstance(line, bytes))
        return sorted({*alone, *(int(one.group(1)) for one in found if one)})

    def searched(self, first: int, last: int, most: int) -> list[int] | None:
        """The messages from UID `first` to `last` that SEARCH finds, ascending, told as ranges (ESEARCH, RFC 4731).

        None: the server tells them in another way, or more than `most`.
        """
        tag = self._imap._command("UID", "SEARCH", "RETURN", "(ALL)", "UID", f"{first}:{last}")  # noqa: SLF001
        typ, data = self._imap._command_complete("UID", tag)  # noqa: SLF001
        told = self._imap.untagged_responses.pop("ESEARCH", [])
        self._checkok("search", typ, data)
        return uids_told(told, tag, range(first, last + 1), most)

    def list_with_status(self, items: str) -> tuple[Listed, tuple[Any, ...]]:
        """LIST of all mailboxes, and STATUS of each (RFC 5819): its name and these items, in turn.

        LIST is sent by itself too, as its extended form tells of other attributes; nothing is waited for in between.
        """
        plain = self._imap._command("LIST", '""', '"*"')  # noqa: SLF001
        extended = self._imap._command("LIST", '""', '"*"', "RETURN", f"(STATUS ({items}))")  # noqa: SLF001
        lines, _ = self._listed(plain)
        _, told = self._listed(extended)
        return self._proc_folder_list(lines), values(told)

    def _listed(self, tag: bytes) -> tuple[list[Any], list[Any]]:
        """The lines of LIST and of STATUS that came with the answer to a command."""
        typ, data = self._imap._command_complete("LIST", tag)  # noqa: SLF001
        lines, told = (self._imap.untagged_responses.pop(name, []) for name in ("LIST", "STATUS"))
        self._checkok("list", typ, data)
        return lines, told

    def find(self, *criteria: str) -> list[int]:
        """The UIDs that meet the criteria."""
        return list(self.search([one.encode() for one in criteria]))

    def sign_in(self, mechanism: str, answer: Callable[[bytes], str]) -> None:
        """Authenticate by a SASL mechanism; a broken connection is not taken for a refusal.

        The first answer goes with the command where the server takes it there (SASL-IR, RFC 4959).
        """
        if "SASL-IR" not in self.offered:
            self._command_and_check("authenticate", mechanism, answer)
            return
        self._imap.literal = imaplib._Authenticator(answer).process  # noqa: SLF001
        first = base64.b64encode(answer(b"").encode()).decode()
        typ, data = self._imap._simple_command("AUTHENTICATE", mechanism, first)  # noqa: SLF001
        self._checkok("authenticate", typ, data)
        self._imap.state = "AUTH"

    def begin_enable(self, extension: str) -> None:
        """Enable an extension; what the server says to it is read with the answer to the next command, and ignored."""
        self._imap._command("ENABLE", extension)  # noqa: SLF001

    def leave(self) -> None:
        """Sign off and hang up, without waiting for the good-bye."""
        self._imap._command("LOGOUT")  # noqa: SLF001
        self.shutdown()

    def sign_in_by_login(self, user: str, password: str) -> None:
        """Authenticate by LOGIN."""
        self._command_and_check("login", user, password)

    def last_words(self) -> str:
        """The server's last sentence before it hung up; empty if it said nothing."""
        said = self._imap.untagged_responses.get("BYE") or [b""]
        return str(said[-1].decode("utf-8", "replace"))

    def _read_bounded(self, size: int) -> bytes:
        if size > LARGEST_LITERAL:
            raise imaplib.IMAP4.abort(f"the server announced {size} bytes in one piece")
        return self._counted(bytes(self._read_literal(size)))

    def _uids_alone(self) -> Iterator[int]:
        """The UIDs of the answers that tell nothing else, up to the first other line: the library takes 5 µs a line."""
        while found := _UID_ALONE.fullmatch(line := self._read_counted()):
            yield int(found[1])
        self._unread = line

    def _read_counted(self) -> bytes:
        line, self._unread = self._unread, None
        return self._counted(bytes(self._read_line())) if line is None else line

    def _send_anew(self, data: bytes) -> None:
        self._answered = 0
        self._send(data)

    def _counted(self, piece: bytes) -> bytes:
        self._received += len(piece)
        self._answered += len(piece)
        if self._answered > LARGEST_ANSWER:
            raise imaplib.IMAP4.abort(f"the server sent more than {LARGEST_ANSWER} bytes to one command")
        return piece

    def _normalise_folder(self, folder_name: str | bytes) -> Any:
        spelled = folder_name.encode("ascii") if isinstance(folder_name, str) else folder_name
        return b'"' + spelled.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def _lines(self, tag: bytes) -> list[Any]:
        typ, data = self._imap._command_complete("UID", tag)  # noqa: SLF001
        typ, data = self._imap._untagged_response(typ, data, "FETCH")  # noqa: SLF001
        self._checkok("fetch", typ, data)
        return [] if data == [None] else data


def sequence_set(uids: Iterable[int]) -> str:
    """UIDs as a sequence set, neighbours as ranges: 1:3,7."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def moment(answer: Answer) -> datetime | None:
    """INTERNALDATE, with its zone; None when it is missing or no date."""
    value = answer.get("INTERNALDATE")
    try:
        return parse_to_datetime(value, normalise=False) if isinstance(value, bytes) else None
    except (ValueError, OverflowError):
        return None


def _by_uid(parsed: tuple[Any, ...]) -> dict[int, Answer]:
    """Unasked answers that name no UID are left out: the sequence number may mean another message by now."""
    found: dict[int, Answer] = {}
    for items in parsed[1::2]:
        answer = {_name(name): value for name, value in zip(items[::2], items[1::2], strict=True)}
        if isinstance(uid := answer.get("UID"), int):
            found.setdefault(uid, {}).update(answer)
    return found


def _name(raw: bytes) -> str:
    return raw.decode("ascii", "replace").upper()
