"""The official export of the same account: the zip that the platform mails to its owner."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.extras import shared_conversations
from connectors.chatgpt.practice.files import replacing
from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.rendering import export_item
from connectors.chatgpt.practice.state import load_account

MEMBER = "conversations.json"
SHARES_MEMBER = "shared_conversations.json"


def export_archive(options: ProviderOptions, path: Path) -> None:
    """Write the archive of the account to `path`, one conversation at a time; the same options give the same bytes.

    Raises ValueError if the state file belongs to another account.
    """
    account = load_account(options)
    with replacing(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        with archive.open(_member(MEMBER), "w", force_zip64=True) as out:
            out.write(b"[")
            for number, conversation in enumerate(account):
                separator = ",\n" if number else "\n"
                out.write((separator + json.dumps(export_item(conversation))).encode())
            out.write(b"\n]\n")
        archive.writestr(_member(SHARES_MEMBER), json.dumps(_shares(account)))


def _shares(account: Account) -> list[dict[str, Any]]:
    """The export tells less of a shared link than the network does."""
    shares = shared_conversations(account, 0, len(account))["items"]
    names = {"id": "id", "conversation_id": "conversation_id", "title": "title", "is_anonymous": "anonymous"}
    return [{name: share[told] for name, told in names.items()} for share in shares]


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
