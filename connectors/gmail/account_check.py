"""Tries a server, a folder of mail, or both: signs in and lists the mailboxes, and looks through the files' names."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from connectors.gmail.account import source_account
from connectors.gmail.local.listing import Listing
from connectors.gmail.mailboxes import HIDDEN, listed, to_walk
from connectors.gmail.session import Session
from pdpp_worker.connector import ConfigurationError, Context, Reached, SourceAccount


def check(context: Context) -> Reached:
    """The mailboxes of the server and the files with mail; a connection with files alone names no user."""
    place = context.settings.get("mail_path")
    holds = _in_files(Path(str(place))) if place else {}
    if place and not context.settings.get("user"):
        return Reached(holds=holds)
    account, mailboxes, remark = _on_server(context)
    return Reached(account, {**mailboxes, **holds}, remark)


def _on_server(context: Context) -> tuple[SourceAccount, dict[str, int | None], str]:
    with closing(Session(context)) as session:
        session.open()
        found = listed(session)
        names = to_walk(found, gmail=session.speaks_gmail)
        holds: dict[str, int | None] = {"mailboxes": len(found)}
        if len(names) == 1:
            holds["messages"] = session.select(names[0]).exists
        return source_account(context), holds, "" if names else f"{HIDDEN}."


def _in_files(root: Path) -> dict[str, int | None]:
    listing = Listing.of(root) if root.exists() else Listing()
    if not listing.has_mail:
        why = "holds no mail that is known" if root.exists() else "is not there"
        raise ConfigurationError(f"{root} {why}; set mail_path to the folder or file with your mail")
    return {"files of mail": len(listing.mboxes) + sum(alike.count for alike in listing.singles.values())}
