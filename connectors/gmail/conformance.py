"""The practice account of this connector: a local server that speaks IMAP as Gmail does, for a small account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage

from connectors.gmail.practice.account import PASSWORD, GmailServer, Stored
from connectors.gmail.practice.living import open_living_account
from connectors.gmail.practice.server import running
from pdpp_worker.conformance.account import Fault, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.planting import Plant, Planted

__all__ = ["open_account", "open_living_account"]

_MAILS = 6
_WITH_FILE = (1, 4)
_SESSION = ("CAPABILITY", "LOGIN", "AUTHENTICATE", "ENABLE", "LIST", "EXAMINE", "NOOP", "LOGOUT", "GREETING")
"""Commands of every session before, and after, it asks for mail."""
_ASKED = re.compile(r"UID FETCH ([\d:,*]+) ")
_TEXTS = ("BODY.PEEK[1]", "BODY.PEEK[]")
_SOUGHT = re.compile(r"X-GM-MSGID (\d+)")


class Mailbox(PracticeAccount):
    """A made-up account at a local server."""

    faults = frozenset({Fault.FAILING, Fault.GONE, Fault.SIGNED_OUT})
    can_change = True
    plants = frozenset({Plant.FIELD, Plant.TOTAL, Plant.TWIN})

    def __init__(self, server: GmailServer) -> None:
        self._server = server
        self.settings = server.settings
        self.secrets = {"password": PASSWORD}
        for number in range(_MAILS):
            server.add(_mail(number))
        self._gone: list[Stored] = []
        self._lent: list[Stored] = []

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every message with its text and its attachment, and the labels."""
        labels = frozenset({"INBOX", "[Gmail]", "[Gmail]/Papierkorb", str(self._server.all_mail), *self._server.labels})
        return [*self._mails(), RecordGroup("labels", labels)]

    def requests(self) -> Sequence[Request]:
        """The commands that ask for mail."""
        asked = [line for line in self._server.commands if not line.startswith(_SESSION)]
        return [Request(line, frozenset(self._messages_of(line))) for line in asked]

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Let the text of messages be refused, messages be gone, or the sign-in be refused."""
        if fault is Fault.SIGNED_OUT:
            self._server.faults = [_refuse_sign_in]
            return
        uids = {mail.uid for mail in self._server.messages.values() if str(mail.gm) in resources}
        if fault is Fault.FAILING:
            self._server.faults = [lambda command: self._refuse_text(command, resources)]
        else:
            self._gone = [self._server.messages.pop(uid) for uid in uids]

    def restore(self) -> None:
        """All is well again."""
        self._server.faults = []
        self._server.messages |= {mail.uid: mail for mail in self._gone}
        self._gone = []
        self._server.delete(*(mail.uid for mail in self._lent))
        self._lent, self._server.phantoms = [], 0

    def plant(self, plant: Plant) -> Planted:
        """A message with a new header, two with one Message-ID, or a mailbox that counts more than it gives."""
        if plant is Plant.TOTAL:
            self._server.phantoms = 2
            return Planted(streams=frozenset({"messages"}))
        marks = ("a planted header",) if plant is Plant.FIELD else ("the first of two", "the second of two")
        head = b"From: ada@example.com\r\nDate: Mon, 06 May 2024 07:08:09 +0000\r\nMessage-ID: <twin@example.com>\r\n"
        for mark in map(str.encode, marks):
            body = b"X-Hologram: " + mark + b"\r\n\r\nHello\r\n" if plant is Plant.FIELD else b"\r\n" + mark + b"\r\n"
            self._lent.append(self._server.add(head + body))
        return Planted(marks, frozenset({"messages"}))

    def change(self) -> None:
        """A message arrives, another is read, one is deleted."""
        self._server.add(_mail(_MAILS))
        self._server.change(1, flags={"\\Seen"})
        self._server.delete(2)

    def _mails(self) -> Iterator[RecordGroup]:
        for mail in self._server.messages.values():
            key = str(mail.gm)
            yield RecordGroup("messages", frozenset({key}), key)
            yield RecordGroup("message_bodies", frozenset({key}), key)
            if mail.uid - 1 in _WITH_FILE:
                yield RecordGroup("attachments", frozenset({f"{key}:0"}), key)

    def _refuse_text(self, command: str, resources: Sequence[str]) -> str | None:
        is_hit = any(one in command for one in _TEXTS) and not set(resources).isdisjoint(self._messages_of(command))
        return "NO Some messages could not be FETCHed (Failure)" if is_hit else None

    def _messages_of(self, command: str) -> Iterator[str]:
        """The messages that a command asks for; none for one that asks for what there is."""
        yield from _SOUGHT.findall(command)
        found = _ASKED.match(command)
        if found is None or "*" in found[1]:
            return
        for part in found[1].split(","):
            first, _, last = part.partition(":")
            for uid in range(int(first), int(last or first) + 1):
                yield str(1_278_455_344_230_334_865 + uid)


def _refuse_sign_in(command: str) -> str | None:
    is_sign_in = command.startswith(("LOGIN", "AUTHENTICATE"))
    return "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)" if is_sign_in else None


def _mail(number: int) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ada <ada@example.com>"
    mail["To"] = "owner@gmail.com"
    mail["Subject"] = f"Letter {number}"
    mail["Date"] = "Mon, 06 May 2024 07:08:09 +0000"
    mail["Message-ID"] = f"<letter-{number}@example.com>"
    mail.set_content(f"Good morning, for the {number}th time.")
    if number in _WITH_FILE:
        mail.add_attachment(b"petals", maintype="application", subtype="octet-stream", filename="flower.bin")
    return mail.as_bytes()


@contextmanager
def open_account() -> Iterator[PracticeAccount]:
    """The account, while its server runs."""
    with running(GmailServer()) as server:
        yield Mailbox(server)
