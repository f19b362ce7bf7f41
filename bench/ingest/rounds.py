"""The rounds: every side in turn, each in a database of its own, with a look at what it left there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text

from bench.alone import Measure
from bench.ingest import data, side, side_copy
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database

Loads = Mapping[str, Sequence[str]]
LOADS: Loads = {"copy": ("first",), "upsert": ("first", "second"), "runtime": ("first", "second")}
"""What each side is measured at; COPY cannot load the same keys twice."""
PEER_LOADS: Loads = {"dlt": ("first", "second"), "singer": ("first", "second")}
"""The same for those that keep the records in a form of their own."""


class WrongResultError(Exception):
    """A side holds something else than the records it was given, so its figure says nothing."""


@dataclass(frozen=True)
class Result:
    """One load by one side in one round."""

    round: int
    side: str
    load: str
    measure: Measure


def run(servers: EmbeddedServers, folder: Path, records: int, rounds: int, sides: Loads = LOADS) -> Iterator[Result]:
    """Measure every load of every side in every round; each round begins with another side.

    Raises:
        WrongResultError: a side holds something else than the records.
    """
    data.write(folder, records)
    side_copy.prepare(servers.database_url, folder)
    expected: _Content | None = None
    for number in range(rounds):
        for name in order(number, sides):
            with database(servers.database_url, f"bench_{number}_{name}") as url:
                for load in sides[name]:
                    yield Result(number, name, load, side.measure(name, url, servers.redis_url, folder))
                    content = _content(url, side.module(name).TABLE, is_peer=name in PEER_LOADS)
                    expected = expected or content
                    has_same = name in PEER_LOADS or content == expected
                    if not has_same or content.rows != records:
                        raise WrongResultError(f"{name}, {load} load: the table holds {content}, not {expected}")


def order(round_number: int, sides: Loads = LOADS) -> list[str]:
    """The sides in the order of a round; no side always runs after the same quiet or the same noise."""
    names = list(sides)
    first = round_number % len(names)
    return names[first:] + names[:first]


@dataclass(frozen=True)
class _Content:
    rows: int
    digest: int
    """Sum of a hash of every key and document, whatever their order."""


def _content(url: str, table: str, *, is_peer: bool) -> _Content:
    """The content of a side's table; of a peer's, whose columns are its own, the number of rows."""
    digest = "0" if is_peer else "coalesce(sum(hashtextextended(key || data::text, 0)), 0)"
    query = f"SELECT count(*), {digest} FROM {table}"
    with _autocommit(url) as connection:
        rows, digest = connection.execute(text(query)).one()
        # What one load has left to be written would be paid for by the next.
        connection.execute(text("CHECKPOINT"))
    return _Content(rows, int(digest))


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """A migrated database that lasts for the block."""
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with _autocommit(server_url) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    db = Database(url)
    migrate.upgrade(db)
    db.close()
    yield url
    with _autocommit(server_url) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        connection.execute(text("CHECKPOINT"))


@contextmanager
def _autocommit(url: str) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
