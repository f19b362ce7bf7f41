"""The names of what is missing: a record of one of them proves that its gap can be closed.

Nearly all records are about nothing that is missing, and a look at these names is all that they cost.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable

from sqlalchemy import Connection, text

from pdpp_worker.store.gaps.close import missing_in

MOST_NAMES = 10_000
"""Where more is missing, the names are not held, and every record may be about one of them."""

_NAMES = text("""
    SELECT stream, coalesce(exact_scope, CAST(scope AS text)) AS scope FROM gaps
    WHERE connection_id = :connection_id AND stream = ANY(CAST(:streams AS text[])) AND closed_at IS NULL
    LIMIT :limit
""")


class AnyName:
    """A container that holds every name."""

    def __contains__(self, _: object) -> bool:
        return True


def missing_names(connection: Connection, connection_id: int, streams: Iterable[str]) -> dict[str, Container[str]]:
    """The streams, among these, that have open gaps, each with the resources that are missing in it."""
    asked = sorted(streams)
    values = {"connection_id": connection_id, "streams": asked, "limit": MOST_NAMES + 1}
    rows = connection.execute(_NAMES, values).all()
    if len(rows) > MOST_NAMES:
        return dict.fromkeys(missing_in(connection, connection_id, asked), AnyName())
    names: dict[str, set[str]] = {}
    for row in rows:
        resource = json.loads(row.scope).get("resource_id")
        names.setdefault(row.stream, set()).update(() if resource is None else (resource,))
    return dict(names)
