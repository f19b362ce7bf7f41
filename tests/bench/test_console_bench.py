"""Pages read no more of the database when more is held; the benchmark asks for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.console import held
from bench.console.pages import paths
from bench.console.searches import SEARCHES
from bench.console.serving import ServerCpu, SqlTime, Visitor, served
from bench.year.questions import ask
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web.site import PAGES
from tests.support.databases import Databases

LITTLE, MUCH = 200, 4000
"""Records."""


@pytest.fixture(scope="module")
def both(databases: Databases) -> Iterator[tuple[Database, Database]]:
    """A database that holds little, and one that holds twenty times as much."""
    with databases.lent() as little, databases.lent() as much:
        found = Database(little), Database(much)
        for db, records in zip(found, (LITTLE, MUCH), strict=True):
            held.fill(db, held.Amount(connections=5, records=records, gaps=records // 10, days=1))
        yield found
        for db in found:
            db.close()


@pytest.mark.parametrize("question", ["console: home", "status and report"])
def test_what_is_held_and_missing_is_known_without_reading_it(both: tuple[Database, Database], question: str) -> None:
    little, much = (ask(db, question, 0).pages for db in both)

    assert much <= 1.5 * little + 150


def test_every_page_and_every_class_of_words_is_asked_for(
    both: tuple[Database, Database], settings: Settings, servers: EmbeddedServers
) -> None:
    with served(settings, both[0]) as server:
        cpu = ServerCpu(servers._postgres.data)
        visitor = Visitor(server, SqlTime(), cpu)
        asked = [(name, path) for name, path in paths(both[0], server.access) if "doctor" not in name]
        answered = {name: visitor.get(path) for name, path in asked}
        found = {name: visitor.post("/records", fields) for name, fields in SEARCHES.items()}
        visitor.http.close()

    assert len(asked) == len(answered) > len(PAGES)
    assert all(one.statements for one in (*answered.values(), *found.values()))
