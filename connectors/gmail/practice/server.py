"""An IMAP server on a real socket that speaks Gmail's extensions, and misbehaves when it is told to.

Of IMAP4rev1 it knows what a reader needs: UID FETCH with every item that a reader asks for, CONDSTORE, SPECIAL-USE,
ESEARCH, X-GM-EXT-1. Changes made through the account's methods are seen by the next command, as on any server.
"""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.gmail.client import sequence_set
from connectors.gmail.practice.account import DROP, PASSWORD, TOKEN, GmailServer, Stored
from connectors.gmail.practice.answers import items_of, quoted, requested

CAPABILITIES = "IMAP4rev1 UNSELECT IDLE NAMESPACE CHILDREN X-GM-EXT-1 SASL-IR AUTH=XOAUTH2 AUTH=PLAIN UIDPLUS"


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
        return f"{words} SPECIAL-USE ENABLE{' CONDSTORE' * server.condstore}{' ESEARCH' * server.esearch}"

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
        _, mechanism, *first = command.split(" ")
        user = self._server.user
        if not first:
            self._say("+ ")
        answer = base64.b64decode(first[0] if first else self._source.readline().strip()).decode()
        right = f"\0{user}\0{PASSWORD}" if mechanism == "PLAIN" else f"user={user}\1auth=Bearer {TOKEN}\1\1"
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
            self._say(f'* LIST ({attribute}\\HasNoChildren) "/" {quoted(server.all_mail)}')
        self._say('* LIST (\\HasNoChildren \\Trash) "/" "[Gmail]/Papierkorb"')
        self._say(*[f'* LIST (\\HasNoChildren) "/" {quoted(one)}' for one in server.labels])
        self._say(*[b'* LIST (\\HasNoChildren) "/" "' + one + b'"' for one in server.misspelled], f"{tag} OK Success")

    def _examine(self, tag: str, command: str) -> None:
        server = self._server
        name = command.split(" ", 1)[1]
        if server.all_mail is None or name != quoted(server.all_mail):
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
        if command.startswith("UID SEARCH RETURN (ALL) UID "):
            self._say(self._found(tag, command.rpartition(" ")[2]), f"{tag} OK SEARCH completed (Success)")
            return
        _, _, where, what = command.split(" ", 3)
        items, _, modifiers = what[1:].partition(") (")
        since = int(modifiers.removeprefix("CHANGEDSINCE ").rstrip(")")) if modifiers else 0
        asked = requested(items)
        for number, mail in enumerate(sorted(self._here.values(), key=lambda one: one.uid), start=1):
            hidden = mail.uid in self._server.withheld and asked != ["UID"]
            hidden |= mail.uid in self._server.hidden or bool(modifiers and self._server.tells_no_changes)
            if _within(mail.uid, where, self._here) and mail.modseq > since and not hidden:
                parts = items_of(self._server, mail, [*asked, *(["MODSEQ"] if modifiers else [])])
                self._say(f"* {number} FETCH (".encode() + b" ".join(parts) + b")")
        self._say(f"{tag} OK Success")

    def _found(self, tag: str, where: str) -> str:
        uids = sorted(self._here.keys() - self._server.hidden)[: self._server.most_found]
        found = sequence_set(uid for uid in uids if _within(uid, where, self._here))
        return f'* ESEARCH (TAG "{tag}") UID{f" ALL {found}" if found else ""}'


def _within(uid: int, where: str, here: dict[int, Stored]) -> bool:
    last = max(here, default=0)
    for part in where.split(","):
        ends = sorted(last if end == "*" else int(end) for end in part.split(":"))
        if ends[0] <= uid <= ends[-1]:
            return True
    return False
