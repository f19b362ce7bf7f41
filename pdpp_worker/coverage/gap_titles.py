"""Titles beside the ids of gaps: what is held of an item, or of the item above it, often tells its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.stream import ancestors
from pdpp_worker.store.views import title_views
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.title_views import Candidate


def read(connection: Connection, gaps: Iterable[GapView], outlooks: Mapping[str, Outlook]) -> dict[int, str]:
    """Number of a gap to a title, for gaps about one item of which a record with a title is held."""
    wanted = {gap.id: list(_candidates(gap, outlooks[gap.connection])) for gap in gaps}
    found = title_views.read(connection, (one for candidates in wanted.values() for one in candidates))
    titled = ((id_, next((one for one in candidates if one in found), None)) for id_, candidates in wanted.items())
    return {id_: found[one] for id_, one in titled if one is not None}


def _candidates(gap: GapView, outlook: Outlook) -> Iterator[Candidate]:
    """Members of records that are called as the gap's item is, the nearest stream first."""
    resource = gap.scope.get("resource_id")
    if not isinstance(resource, str) or outlook.manifest is None:
        return
    for name in (gap.stream, *ancestors(outlook.manifest, gap.stream)):
        declared = outlook.manifest.stream(name)
        if declared is not None and (member := declared.reading.title) is not None:
            yield Candidate(outlook.view.id, name, resource, member)
