"""Tries the account: looks into the inbox, or asks the site for the dashboard, signed in as the owner is."""

from __future__ import annotations

from pathlib import Path

from connectors.usaa.inbox import files
from connectors.usaa.site.client import Site
from connectors.usaa.site.pages import DASHBOARD, read_accounts
from pdpp_worker.connector import ConfigurationError, Context, Reached


def check(context: Context) -> Reached:
    """The files of the inbox, or the accounts of the dashboard."""
    inbox = context.settings.get("inbox")
    return _in_inbox(Path(str(inbox)).expanduser()) if inbox else _on_site(context)


def _on_site(context: Context) -> Reached:
    with context.http(base_url=str(context.settings["base_url"]), headers={"accept": "*/*"}) as client:
        return Reached(holds={"accounts": len(read_accounts(Site(client).page(DASHBOARD)))})


def _in_inbox(root: Path) -> Reached:
    try:
        found = files.scan(root)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(f"the inbox {root} cannot be listed: {why}; correct the setting inbox") from None
    remark = "" if found else "Put CSV exports and PDF statements into it."
    return Reached(holds={"files": len(found)}, remark=remark)
