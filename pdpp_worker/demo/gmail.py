"""An IMAP server on a real socket that speaks Gmail's extensions, and misbehaves when it is told to.

Of IMAP4rev1 it knows what a reader needs: UID FETCH with every item that a reader asks for, CONDSTORE, SPECIAL-USE,
X-GM-EXT-1. Changes made through its methods are seen by the next command, as on any server.
"""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message as Email
from functools import lru_cache
from typing import Any

from imapclient.imap_utf7 import encode as encode_utf7

DAY = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
"""When a message was received, where nothing else is said."""
USER, PASSWORD, TOKEN = "owner@gmail.com", "abcdefghijklmnop", "ya29.token"
DROP = "DROP"
"""A fault's answer: hang up without a word."""
CAPABILITIES = "IMAP4rev1 UNSELECT IDLE NAMESPACE CHILDREN X-GM-EXT-1 SASL-IR AUTH=XOAUTH2 AUTH=PLAIN UIDPLUS"

Fault = Callable[[str], str | None]
"""Says for a command, without its tag, what to answer instead (NO …, BAD …, BYE …, DROP), or None."""

_ITEM = re.compile(r"BODY\.PEEK\[[^\]]*\](?:<\d+\.\d+>)?|[A-Z0-9.-]+")


@dataclass
class Stored:
    """A message of the account."""

    uid: int
    gm: int
    thread: int
    raw: bytes
    labels: set[str]
    flags: set[str]
    modseq: int
    received: datetime = DAY


@dataclass
class GmailServer:
    """One account. Attributes may be changed while it runs."""

    gmail: bool = True
    condstore: bool = True
    all_mail: str | None = "[Gmail]/Alle Nachrichten"
    uidvalidity: int = 11
    modseq: int = 9_007_199_254_740_993
    messages: dict[int, Stored] = field(default_factory=dict)
    labels: list[str] = field(default_factory=lambda: ["Reisen/Köln"])
    faults: list[Fault] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """Every command that came, passwords left out."""
    garbled: set[int] = field(default_factory=set)
    """UIDs whose BODYSTRUCTURE breaks the grammar."""
    withheld: set[int] = field(default_factory=set)
    """UIDs that FETCH of more than UIDs leaves out, without a word."""
    announced: dict[int, int] = field(default_factory=dict)
    """By UID: how many bytes are announced for each part of a message, whatever it has."""
    misspelled: list[bytes] = field(default_factory=list)
    """Mailboxes whose names are not in modified UTF-7."""
    shown_whole: bool = False
    """Send whole parts where pieces were asked for."""
    phantoms: int = 0
    """Messages that EXAMINE counts and no FETCH shows."""
    silence: threading.Event = field(default_factory=threading.Event)
    """For a fault to wait on."""
    uidnext: int = 1
    port: int = 0

    def add(
        self, raw: bytes, *, labels: set[str] | None = None, thread: int | None = None, uid: int | None = None
    ) -> Stored:
        """A message arrives."""
        uid = uid or self.uidnext
        gm = 1_278_455_344_230_334_865 + uid
        self.modseq += 1
        mail = Stored(
            uid,
            gm,
            thread or gm,
            raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            labels or set(),
            set(),
            self.modseq,
        )
        self.messages[uid] = mail
        self.uidnext = max(self.uidnext, uid + 1)
        return mail

    def change(self, uid: int, *, flags: set[str] | None = None, labels: set[str] | None = None) -> None:
        """Flags or labels of a message are set."""
        self.modseq += 1
        mail = self.messages[uid]
        mail.flags, mail.labels, mail.modseq = flags or mail.flags, labels or mail.labels, self.modseq

    def delete(self, *uids: int) -> None:
        """Messages are expunged."""
        for uid in uids:
            del self.messages[uid]

    def renumber(self) -> None:
        """The mailbox gets a new life: every message another UID, and none of the old UIDs means anything."""
        self.uidvalidity += 1
        old, self.messages, self.uidnext = list(self.messages.values()), {}, 1
        for mail in reversed(old):
            mail.uid = self.uidnext
            self.messages[mail.uid] = mail
            self.uidnext += 1

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a connection to it."""
        return {"host": "127.0.0.1", "port": self.port, "tls": "plain", "user": USER}

    def asked(self, word: str) -> list[str]:
        """The commands that contain a word."""
        return [line for line in self.commands if word in line]


@contextmanager
def running(server: GmailServer) -> Iterator[GmailServer]:
    """Let the server answer on a free port."""

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            try:
                _Session(server, self.rfile, self.wfile).serve()
            except (ConnectionError, ValueError):
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as listener:
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


class _Session:
    def __init__(self, server: GmailServer, source: Any, sink: Any) -> None:
        self._server = server
        self._source = source
        self._sink = sink
        self._signed_in = False

    def serve(self) -> None:
        if self._misbehaves("*", "GREETING"):
            return
        self._say("* OK Gimap ready for requests")
        while line := self._source.readline().decode("utf-8", "replace").rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            self._server.commands.append(re.sub(r"^(LOGIN|AUTHENTICATE \S+).*", r"\1", command))
            if self._misbehaves(tag, command):
                return
            verb = command.split(" ")[0].upper()
            handler = getattr(self, f"_{verb.lower()}", None)
            if handler is None:
                self._say(f"{tag} BAD Unknown command")
            elif handler(tag, command) == "over":
                return

    def _misbehaves(self, tag: str, command: str) -> bool:
        """Answer as a fault says; true when the connection is over."""
        for fault in self._server.faults:
            answer = fault(command)
            if answer is None:
                continue
            if answer == DROP:
                return True
            if answer.startswith("BYE"):
                self._say(f"* {answer}")
                return True
            self._say(f"{tag} {answer}")
            rest = self._source.readline().decode().rstrip("\r\n")
            if not rest:
                return True
            self._server.commands.append(rest.partition(" ")[2])
            return self._misbehaves(*rest.split(" ", 1)) or self._handled(rest)
        return False

    def _handled(self, line: str) -> bool:
        tag, _, command = line.partition(" ")
        return bool(getattr(self, f"_{command.split(' ')[0].lower()}")(tag, command) == "over")

    def _say(self, *lines: str | bytes) -> None:
        self._sink.write(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))
        self._sink.flush()

    def _features(self) -> str:
        server = self._server
        words = CAPABILITIES if server.gmail else CAPABILITIES.replace("X-GM-EXT-1 ", "")
        return f"{words} SPECIAL-USE ENABLE{' CONDSTORE' if server.condstore else ''}"

    def _capability(self, tag: str, _: str) -> None:
        self._say(f"* CAPABILITY {self._features()}", f"{tag} OK done")

    def _noop(self, tag: str, _: str) -> None:
        self._say(f"{tag} OK done")

    def _logout(self, tag: str, _: str) -> str:
        self._say("* BYE LOGOUT requested", f"{tag} OK bye")
        return "over"

    def _enable(self, tag: str, _: str) -> None:
        self._say("* ENABLED CONDSTORE", f"{tag} OK done")

    def _login(self, tag: str, command: str) -> None:
        self._judge(tag, PASSWORD in command)

    def _authenticate(self, tag: str, command: str) -> None:
        mechanism = command.split(" ")[1]
        self._say("+ ")
        answer = base64.b64decode(self._source.readline().strip()).decode()
        right = f"\0{USER}\0{PASSWORD}" if mechanism == "PLAIN" else f"user={USER}\1auth=Bearer {TOKEN}\1\1"
        if answer != right and mechanism == "XOAUTH2":
            self._say("+ " + base64.b64encode(b'{"status":"400"}').decode())
            self._source.readline()
        self._judge(tag, answer == right)

    def _judge(self, tag: str, right: bool) -> None:
        self._signed_in = right
        if right:
            self._say(f"* CAPABILITY {self._features()}", f"{tag} OK authenticated (Success)")
        else:
            self._say(f"{tag} NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")

    def _list(self, tag: str, _: str) -> None:
        server = self._server
        self._say('* LIST (\\HasNoChildren) "/" "INBOX"', '* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"')
        if server.all_mail:
            attribute = "\\All " if server.gmail else ""
            self._say(f'* LIST ({attribute}\\HasNoChildren) "/" {_quoted(server.all_mail)}')
        self._say('* LIST (\\HasNoChildren \\Trash) "/" "[Gmail]/Papierkorb"')
        self._say(*[f'* LIST (\\HasNoChildren) "/" {_quoted(one)}' for one in server.labels])
        self._say(*[b'* LIST (\\HasNoChildren) "/" "' + one + b'"' for one in server.misspelled], f"{tag} OK Success")

    def _examine(self, tag: str, command: str) -> None:
        server = self._server
        name = command.split(" ", 1)[1]
        if server.all_mail is None or name != _quoted(server.all_mail):
            here: dict[int, Stored] = {}
        else:
            here = server.messages
        self._here = here
        modseq = f"* OK [HIGHESTMODSEQ {server.modseq}]" if server.condstore else "* OK [NOMODSEQ]"
        self._say(
            "* FLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen)",
            f"* {len(here) + (server.phantoms if here else 0)} EXISTS",
            "* 0 RECENT",
            f"* OK [UIDVALIDITY {server.uidvalidity}] UIDs valid.",
            f"* OK [UIDNEXT {server.uidnext}] Predicted next UID.",
            modseq,
            f"{tag} OK [READ-ONLY] selected. (Success)",
        )

    def _uid(self, tag: str, command: str) -> None:
        if command.startswith("UID SEARCH X-GM-MSGID "):
            wanted = int(command.rpartition(" ")[2])
            self._say("* SEARCH" + "".join(f" {one.uid}" for one in self._here.values() if one.gm == wanted))
            self._say(f"{tag} OK SEARCH completed (Success)")
            return
        _, _, where, what = command.split(" ", 3)
        items, _, modifiers = what[1:].partition(") (")
        since = int(modifiers.removeprefix("CHANGEDSINCE ").rstrip(")")) if modifiers else 0
        asked = _ITEM.findall(items)
        for number, mail in enumerate(sorted(self._here.values(), key=lambda one: one.uid), start=1):
            hidden = mail.uid in self._server.withheld and asked != ["UID"]
            if _within(mail.uid, where, self._here) and mail.modseq > since and not hidden:
                parts = self._items(mail, [*asked, *(["MODSEQ"] if modifiers else [])])
                self._say(f"* {number} FETCH (".encode() + b" ".join(parts) + b")")
        self._say(f"{tag} OK Success")

    def _items(self, mail: Stored, asked: list[str]) -> Iterator[bytes]:
        if "UID" not in asked:
            yield f"UID {mail.uid}".encode()
        for item in asked:
            yield (
                item.replace(".PEEK", "").split("<")[0].encode()
                + _origin(item, self._server)
                + b" "
                + self._value(mail, item)
            )

    def _value(self, mail: Stored, item: str) -> bytes:
        plain = {
            "UID": str(mail.uid),
            "FLAGS": f"({' '.join(sorted(mail.flags))})",
            "MODSEQ": f"({mail.modseq})",
            "INTERNALDATE": f'"{mail.received:%d-%b-%Y %H:%M:%S +0000}"',
            "RFC822.SIZE": str(len(mail.raw)),
            "X-GM-MSGID": str(mail.gm),
            "X-GM-THRID": str(mail.thread),
            "X-GM-LABELS": f"({' '.join(_quoted(one) for one in sorted(mail.labels))})",
        }
        if item in plain:
            return plain[item].encode()
        if item == "BODYSTRUCTURE":
            return b"((" if mail.uid in self._server.garbled else structure(_parsed(mail.raw))
        section, _, piece = item.removeprefix("BODY.PEEK[").partition("]")
        content = _section(mail.raw, section)
        if piece and not self._server.shown_whole:
            offset, length = map(int, piece[1:-1].split("."))
            content = content[offset : offset + length]
        return f"{{{self._server.announced.get(mail.uid, len(content))}}}\r\n".encode() + content


def structure(part: Email) -> bytes:
    """A part's BODYSTRUCTURE."""
    if part.is_multipart() and part.get_content_type() != "message/rfc822":
        children = b"".join(structure(one) for one in part.get_payload())  # type: ignore[arg-type]
        return b"(" + children + f' "{part.get_content_subtype().upper()}" ("BOUNDARY" "x") NIL NIL)'.encode()
    content = _content(part)
    kind, subtype = part.get_content_maintype().upper(), part.get_content_subtype().upper()
    parameters = _pairs(part.get_params(failobj=[])[1:])
    encoding = str(part.get("Content-Transfer-Encoding", "7BIT")).upper()
    identity = f'"{part["Content-ID"]}"' if part["Content-ID"] else "NIL"
    head = f'("{kind}" "{subtype}" {parameters} {identity} NIL "{encoding}" {len(content)}'
    lines = f" {len(content.splitlines())}" if kind == "TEXT" else ""
    given = part.get_params(failobj=[], header="content-disposition")
    disposition = f'("{given[0][0].upper()}" {_pairs(given[1:])})' if given else "NIL"
    return f"{head}{lines} NIL {disposition} NIL)".encode()


@lru_cache(maxsize=256)
def _parsed(raw: bytes) -> Email:
    return message_from_bytes(raw)


def _section(raw: bytes, section: str) -> bytes:
    if section.startswith("HEADER.FIELDS"):
        names = {one.lower() for one in section.partition("(")[2].rstrip(")").split()}
        head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        fields = re.findall(rb"(?m)^([^\s:]+):((?:.*\r\n(?:[ \t].*\r\n)*))", head)
        return b"".join(name + b":" + rest for name, rest in fields if name.decode().lower() in names) + b"\r\n"
    part = _parsed(raw)
    for number in map(int, section.split(".")):
        if part.is_multipart():
            part = part.get_payload()[number - 1]  # type: ignore[index, assignment]
    return _content(part)


def _content(part: Email) -> bytes:
    payload: Any = part.get_payload()
    if isinstance(payload, list):
        return bytes(payload[0]) if payload else b""
    return str(payload).encode("utf-8", "surrogateescape")


def _pairs(pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return "NIL"
    return "(" + " ".join(f'"{name.upper()}" {_quoted(str(value))}' for name, value in pairs) + ")"


def _quoted(text: str) -> str:
    wire: str = encode_utf7(text).decode()
    return '"' + wire.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _origin(item: str, server: GmailServer) -> bytes:
    found = re.search(r"<(\d+)\.\d+>", item)
    return f"<{found.group(1)}>".encode() if found and not server.shown_whole else b""


def _within(uid: int, where: str, here: dict[int, Stored]) -> bool:
    last = max(here, default=0)
    for part in where.split(","):
        ends = sorted(last if end == "*" else int(end) for end in part.split(":"))
        if ends[0] <= uid <= ends[-1]:
            return True
    return False
