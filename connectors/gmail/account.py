"""The account that a connection reads, by the server and the name of the sign-in."""

from __future__ import annotations

from pdpp_worker.connector import Context, SourceAccount, account_named

_GOOGLE = {"imap.gmail.com", "imap.googlemail.com", "gmail.com", "googlemail.com"}


def is_gmail(host: str) -> bool:
    """Whether a server is Google's."""
    return host.strip().rstrip(".").lower() in _GOOGLE


def source_account(context: Context) -> SourceAccount:
    """The account, in a spelling that does not change with letters or with the names of one server."""
    user, host = (
        str(context.settings["user"]).strip().lower(),
        str(context.settings["host"]).strip().rstrip(".").lower(),
    )
    if is_gmail(host):
        name, _, _ = user.partition("@")
        user = f"{name}@gmail.com" if user.endswith(("@googlemail.com", "@gmail.com")) or "@" not in user else user
        host = "imap.gmail.com"
    return account_named(f"{host}/{user}", user)
