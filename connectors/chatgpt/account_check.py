"""Tries an account or an export: signs in and asks for the first page of conversations, or looks into the file."""

from __future__ import annotations

import zipfile
from contextlib import closing
from pathlib import Path

from connectors.chatgpt.api import Api
from connectors.chatgpt.export_file import account_of, open_export
from connectors.chatgpt.export_members import CONVERSATIONS_MEMBER
from connectors.chatgpt.session import Session
from pdpp_worker.connector import ConfigurationError, Context, Reached, SourceAccount
from pdpp_worker.connector.json_fields import text


def check(context: Context) -> Reached:
    """The account that the credentials sign in, or that an export is of."""
    archive = context.settings.get("archive")
    return _in_export(Path(str(archive))) if archive else _online(context)


def _online(context: Context) -> Reached:
    with closing(Session(context)) as session:
        page = Api(session).conversations(0, archived=False)
        return Reached(_account(session.account, session.account_label), {"conversations": page.total})


def _in_export(path: Path) -> Reached:
    try:
        with open_export(path) as export:
            count = sum(bool(CONVERSATIONS_MEMBER.fullmatch(name)) for name in export.names())
            told = account_of(export)
    except (OSError, zipfile.BadZipFile) as error:
        why = f"the export {path.name} cannot be read ({type(error).__name__}); check its path, or download it again"
        raise ConfigurationError(why) from None
    if not count:
        raise ConfigurationError(f"{path.name} holds no conversations.json, so it is no export of an account")
    return Reached(_account(text(told.get("id")), text(told.get("email"))), {"files of conversations": count})


def _account(identity: str | None, label: str | None) -> SourceAccount | None:
    return None if identity is None else SourceAccount(identity=identity, label=label)
