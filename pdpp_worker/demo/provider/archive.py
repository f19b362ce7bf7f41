"""The official export of the same account: the zip that the platform mails to its owner."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from pdpp_worker.demo.provider.files import replacing
from pdpp_worker.demo.provider.options import ProviderOptions
from pdpp_worker.demo.provider.rendering import export_item
from pdpp_worker.demo.provider.state import load_account

MEMBER = "conversations.json"


def export_archive(options: ProviderOptions, path: Path) -> None:
    """Write the archive of the account to `path`, one conversation at a time; the same options give the same bytes.

    Raises ValueError if the state file belongs to another account.
    """
    account = load_account(options)
    member = zipfile.ZipInfo(MEMBER)
    member.compress_type = zipfile.ZIP_DEFLATED
    with (
        replacing(path) as draft,
        zipfile.ZipFile(draft, "w") as archive,
        archive.open(member, "w", force_zip64=True) as out,
    ):
        out.write(b"[")
        for number, conversation in enumerate(account):
            separator = ",\n" if number else "\n"
            out.write((separator + json.dumps(export_item(conversation))).encode())
        out.write(b"\n]\n")
