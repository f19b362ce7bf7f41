"""Whose workspace is read: the same on both roads."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.slack.fields import text
from connectors.slack.rows import Obj
from pdpp_worker.connector import SourceAccount, account_named


def account_of(identity: Obj) -> Iterator[SourceAccount]:
    """The account of an answer of auth.test; none where it names no workspace.

    Ids of channels and messages are those of a workspace, whoever of it asks: a new kind of token is the same account.
    """
    team = text(identity.get("team_id"))
    if team is not None:
        yield account_named(team, text(identity.get("team")) or text(identity.get("url")))
