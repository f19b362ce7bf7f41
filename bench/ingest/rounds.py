"""The rounds: every side in turn, each in a database of its own, with a look at what it left there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from bench.alone import Measure
from bench.databases import checkpoint, database
from bench.ingest import data, side, side_copy
from pdpp_worker.local.embedded import EmbeddedServers

Loads = Mapping[str, Sequence[str]]
LOADS: Loads = {"copy": ("first",), "upsert": ("first", "second"), "runtime": ("first", "second")}
"""The loads at which each side is measured; COPY cannot load the same keys twice."""
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
            with database(servers, f"bench_{number}_{name}") as url:
                for load in sides[name]:
                    yield Result(number, name, load, side.measure(name, url, servers.redis_url, folder))
                    checkpoint(servers)
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
    engine = create_engine(url)
    with engine.connect() as connection:
        rows, total = connection.execute(text(f"SELECT count(*), {digest} FROM {table}")).one()
    engine.dispose()
    return _Content(rows, int(total))
