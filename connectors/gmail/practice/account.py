"""The account behind the practice server: its messages, its settings, and its fault switches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DAY = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
"""The time at which a message was received, where nothing else is said."""
USER, PASSWORD, TOKEN = "owner@gmail.com", "abcdefghijklmnop", "ya29.token"
DROP = "DROP"
"""A fault's answer: hang up without a word."""

Fault = Callable[[str], str | None]
"""From a command, without its tag, to the answer to give instead (NO …, BAD …, BYE …, DROP), or None."""


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

    user: str = USER
    gmail: bool = True
    condstore: bool = True
    esearch: bool = True
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
    hidden: set[int] = field(default_factory=set)
    """UIDs that every FETCH and SEARCH leaves out, without a word."""
    most_found: int | None = None
    """How many of the oldest UIDs a SEARCH finds at most."""
    tells_no_changes: bool = False
    """Answer FETCH with CHANGEDSINCE with an OK and no lines."""
    cut_at: int | None = None
    """Byte of a part behind which nothing more is sent."""
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

    def move_out_and_back(self, uid: int) -> None:
        """A message goes to the trash and returns: the same id of Gmail's, another UID."""
        mail = self.messages.pop(uid)
        self.modseq += 1
        mail.uid, mail.modseq, self.uidnext = self.uidnext, self.modseq, self.uidnext + 1
        self.messages[mail.uid] = mail

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
        return {"host": "127.0.0.1", "port": self.port, "tls": "plain", "user": self.user}

    def asked(self, word: str) -> list[str]:
        """The commands that contain a word."""
        return [line for line in self.commands if word in line]
