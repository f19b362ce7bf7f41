"""Filters of a stream's records as they are typed: a period by their own times, and who wrote them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner.durations import parse_moment
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store.views.search_views import Wanted

FILTERS = ("since", "until", "author")


def narrowed(wanted: Wanted, asked: Callable[[str], str | None], declared: StreamManifest | None) -> Wanted:
    """The wanted records within the filters that `asked` tells by name; the day of `until` is included.

    Raises:
        ConfigurationError: a day is none, or nothing says who wrote a record of the stream.
    """
    since, until, author = map(asked, FILTERS)
    member = declared.reading.author if declared else None
    if author is not None and member is None:
        raise ConfigurationError("Nothing says who wrote a record of this stream, so it has no filter by author.")
    return wanted._replace(
        since=None if since is None else parse_moment(since, datetime.now(UTC)),
        until=None if until is None else _end(until),
        author=author,
        author_member=member,
    )


def _end(until: str) -> datetime:
    now = datetime.now(UTC)
    moment = parse_moment(until, now)
    return moment + timedelta(days=1) if moment.date().isoformat() == until else moment
