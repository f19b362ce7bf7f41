"""Statements that empty tables of a test's database, in the state in which TRUNCATE … RESTART IDENTITY leaves them.

A test leaves few rows. TRUNCATE makes new files for each table and each index, which takes ten times as long as DELETE.
"""

from __future__ import annotations

from collections.abc import Iterable

from pdpp_worker.store.tables import metadata

_EMPTY = """
DO $$
DECLARE
    one regclass;
    tables regclass[] := CAST('{%s}' AS regclass[]);
BEGIN
    FOREACH one IN ARRAY tables LOOP
        IF pg_table_size(one) > 1000000 THEN
            EXECUTE 'TRUNCATE ' || one || ' CASCADE';
        ELSIF pg_relation_size(one) > 0 THEN
            EXECUTE 'DELETE FROM ' || one;
        END IF;
    END LOOP;
    PERFORM setval(pg_class.oid, 1, false) FROM pg_depend JOIN pg_class ON pg_class.oid = objid AND relkind = 'S'
      WHERE refobjid = ANY(tables);
END $$
"""


def emptying(tables: Iterable[str]) -> str:
    """The statement that empties these tables; each comes after those that refer to it."""
    return _EMPTY % ",".join(tables)


def emptying_with_references(*tables: str) -> str:
    """The statement that empties these tables and all that refer to them."""
    chosen = set(tables)
    for table in metadata.sorted_tables:
        if any(key.column.table.name in chosen for key in table.foreign_keys):
            chosen.add(table.name)
    return emptying(table.name for table in reversed(metadata.sorted_tables) if table.name in chosen)
