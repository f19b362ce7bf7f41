"""The row of the table: an archive of slackdump's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import orjson

from bench.copy_documents import copy
from bench.slack import archive
from bench.sources import measured
from bench.table import Ground, Way

_MESSAGES = 100_000


def slack(ground: Ground) -> Iterator[Way]:
    """100,000 messages beside orjson and COPY of its messages alone."""
    count, folder = ground.size(_MESSAGES), ground.folder / "slack"
    folder.mkdir()
    archive.write(folder, count, 1)
    given = {"archive": str(folder), "run_slackdump": False}
    job = f"Slack archive, {count:,} messages"
    yield from measured(ground, job, "slack", given, folder, {"orjson + COPY, messages alone": __name__})


def load(database_url: str, source: str) -> None:
    """The peer: load every message."""
    copy(database_url, _rows(source))


def _rows(source: str) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(f"{source}/slackdump.sqlite") as connection:
        for channel, ts, data in connection.execute("SELECT CHANNEL_ID, TS, CAST(DATA AS BLOB) FROM MESSAGE"):
            yield f"{channel}:{ts}", orjson.dumps(orjson.loads(data))
