"""`pdpp-worker db stats`: the size of the tables, and how long their rows are kept."""

from __future__ import annotations

from dataclasses import asdict

from pdpp_worker.cli.output import Json, note, print_json, print_table
from pdpp_worker.coverage.source_parts import size_of
from pdpp_worker.owner import schema
from pdpp_worker.owner.session import open_session
from pdpp_worker.settings import get_settings
from pdpp_worker.store.views import table_stats
from pdpp_worker.store.views.table_stats import TableStats

_COLUMNS = ("table", "size", "indexes", "rows", "dead", "oldest", "kept")


def stats(json: Json = False) -> None:
    """Show the size of each table, its rows, the oldest one, and how long they are kept."""
    with open_session() as session, session.db.begin() as connection:
        found = table_stats.read(connection)
    kept = schema.kept_days(get_settings())
    if json:
        print_json([{**asdict(one), "kept_days": kept.get(one.table)} for one in found])
        return
    print_table(_COLUMNS, (_row(one, kept) for one in found), right=("size", "indexes", "rows", "dead"))
    for one in found:
        if one.is_bloated:
            note(f"{one.table}: most of its rows are dead, and their place is not reused; let PostgreSQL vacuum it.")


def _row(one: TableStats, kept: dict[str, int]) -> tuple[str, ...]:
    return (
        one.table,
        size_of(one.bytes),
        size_of(one.index_bytes),
        f"{one.rows:,}",
        f"{one.dead_rows:,}",
        f"{one.oldest:%Y-%m-%d}" if one.oldest else "",
        f"{kept[one.table]} days" if one.table in kept else "for ever",
    )
