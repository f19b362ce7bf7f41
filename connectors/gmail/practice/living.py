"""A small mailbox that lives: mail arrives, is read, goes to the trash and comes back while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from random import Random

from connectors.gmail.practice.account import PASSWORD, GmailServer, Stored
from connectors.gmail.practice.server import running
from pdpp_worker.conformance.account import LivingAccount, RecordGroup

MAILS = 8
_FILE_EVERY = 3
"""One mail in so many has a file."""


class LivingMailbox(LivingAccount):
    """Mail with and without files, at a server in this process."""

    imap_port = "port"

    def __init__(self, server: GmailServer) -> None:
        self._server = server
        self.settings, self.secrets = server.settings, {"password": PASSWORD}
        self._number = 0
        self._trash: list[Stored] = []
        for _ in range(MAILS):
            self._receive()
        self.events = {
            "mail arrives": lambda _: self._receive(),
            "a mail is flagged": self._flag,
            "a mail is labelled": self._label,
            "a mail is deleted": self._delete,
            "a mail is back": self._restore,
            "a mail goes to the trash and back": self._move,
            "a label comes": self._add_label,
        }

    def _receive(self) -> None:
        self._number += 1
        self._server.add(_mail(self._number, self._server.user))

    def _flag(self, rng: Random) -> None:
        self._server.change(self._any(rng), flags=rng.choice(({"\\Seen"}, {"\\Flagged"}, {"\\Seen", "\\Flagged"})))

    def _label(self, rng: Random) -> None:
        self._server.change(self._any(rng), labels={rng.choice(self._server.labels)})

    def _delete(self, rng: Random) -> None:
        if len(self._server.messages) > 2:
            self._trash.append(self._server.messages.pop(self._any(rng)))

    def _restore(self, rng: Random) -> None:
        if self._trash:
            mail = self._trash.pop(rng.randrange(len(self._trash)))
            self._server.messages[mail.uid] = mail
            self._server.move_out_and_back(mail.uid)

    def _move(self, rng: Random) -> None:
        self._server.move_out_and_back(self._any(rng))

    def _add_label(self, _: Random) -> None:
        if len(self._server.labels) < 4:
            self._server.labels.append(f"Label {len(self._server.labels)}")

    def _any(self, rng: Random) -> int:
        return rng.choice(sorted(self._server.messages))

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every mail with its text and its file, and the labels."""
        mails = list(self._server.messages.values())
        keys = frozenset(str(mail.gm) for mail in mails)
        files = frozenset(f"{mail.gm}:0" for mail in mails if b"flower.bin" in mail.raw)
        labels = frozenset({"INBOX", "[Gmail]", "[Gmail]/Papierkorb", str(self._server.all_mail), *self._server.labels})
        return [
            RecordGroup("messages", keys),
            RecordGroup("message_bodies", keys),
            RecordGroup("attachments", files),
            RecordGroup("labels", labels),
        ]


def _mail(number: int, owner: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ada <ada@example.com>"
    mail["To"] = owner
    mail["Subject"] = f"Letter {number} to {owner}"
    mail["Date"] = "Mon, 06 May 2024 07:08:09 +0000"
    mail["Message-ID"] = f"<letter-{number}@example.com>"
    mail.set_content(f"Good morning, for the {number}th time.")
    if number % _FILE_EVERY == 0:
        mail.add_attachment(b"petals", maintype="application", subtype="octet-stream", filename="flower.bin")
    return mail.as_bytes()


@contextmanager
def open_living_account(owner: int) -> Iterator[LivingAccount]:
    """The mailbox of an owner, while its server runs."""
    with running(GmailServer(user=f"owner{owner}@gmail.com")) as server:
        yield LivingMailbox(server)
