"""Failures of an answer that came with status 200."""

from __future__ import annotations

from pdpp_worker.connector import UpstreamError


class ListEmptiedError(UpstreamError):
    """A list is empty although it was not before; that is more often a broken source than an emptied account."""

    slug = "list_emptied"
