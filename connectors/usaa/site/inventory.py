"""The inventory of the site: the pages that are read, and what stands on others."""

from __future__ import annotations

from connectors.usaa.records import ACCOUNTS, BILLING, BILLING_STATS, MESSAGES, STATEMENTS, STATS, TRANSACTIONS
from pdpp_worker.connector import Inventory, SourceMember

_READ = {
    "dashboard": [ACCOUNTS, STATS],
    "export of each account": [TRANSACTIONS],
    "list of documents": [STATEMENTS, TRANSACTIONS],
    "inbox": [MESSAGES],
    "page of each card": [BILLING, BILLING_STATS],
}
_LEFT_OUT = {
    "further pages of the list of documents": "only the first page is read",
    "transfers, bill payments and scheduled transactions": "they come as transactions once they are posted",
    "transactions of loans, mortgages and investments": "the site shows their balance only",
}


def inventory() -> Inventory:
    """Name the pages."""
    read = [
        SourceMember(kind="page", name=name, disposition="collected", streams=streams)
        for name, streams in _READ.items()
    ]
    left = [
        SourceMember(kind="page", name=name, disposition="declared", reason=reason)
        for name, reason in _LEFT_OUT.items()
    ]
    return Inventory(part="site", members=[*read, *left])
