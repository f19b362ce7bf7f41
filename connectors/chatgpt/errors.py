"""Failures of an answer that came with status 200."""

from __future__ import annotations

from pdpp_worker.connector import NeedsOwner, UpstreamError


class ListEmptiedError(UpstreamError):
    """A list is empty although it was not before; that is more often a broken source than an emptied account."""

    slug = "list_emptied"


class ListShortError(UpstreamError):
    """A list names fewer items than it says that it has."""

    slug = "list_short"


class TreeCutError(UpstreamError):
    """A conversation's tree names nodes that it does not hold, or has two under one id; what it holds was read."""

    slug = "tree_cut"


class OtherAccountError(NeedsOwner):
    """The source is signed in to another account than before."""

    slug = "other_account"
    reason = "another_account"
