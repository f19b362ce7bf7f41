"""Roles for a server of the owner's own: one that owns the schema, one that works, one that looks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql

from pdpp_worker.store.tables import audit, metadata
from pdpp_worker.store.views.fleet_views import NUMBERS
from pdpp_worker.tabular.view_sql import SCHEMA

OWNER, WORKER, READER = "pdpp_owner", "pdpp_worker", "pdpp_read"
HIDDEN = frozenset({"credentials"})
"""Columns that the role that looks does not see, in whatever table."""

_quoted = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


def statements(database: str) -> Iterator[str]:
    """The SQL that makes the roles and their rights in a database, with comments; it may be repeated.

    Columns and tables that a later version adds are seen by the role that looks only when it is run again.
    """
    name = _quoted(database)
    tables = [_quoted(table) for table in metadata.tables]
    views = sorted({number.view for number in NUMBERS})
    yield from _HEAD.strip().splitlines()
    for role in (OWNER, WORKER, READER):
        made = f"CREATE ROLE {role} LOGIN NOSUPERUSER"
        yield f"DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN {made}; END IF; END$$;"
    yield f"ALTER DATABASE {name} OWNER TO {OWNER};"
    yield f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER};"
    yield from (f"ALTER TABLE IF EXISTS {table} OWNER TO {OWNER};" for table in [*tables, *views, "alembic_version"])
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
    yield f"GRANT USAGE ON SCHEMA public TO {WORKER}, {READER};"
    yield from _of_worker(name, ", ".join(tables))
    yield from _of_reader()
    yield f"GRANT SELECT ON {', '.join(views)} TO {WORKER}, {READER};"
    yield from _TABLES.strip().splitlines()


_HEAD = f"""
-- Run this as a superuser in the fleet's database, after its first `pdpp-worker db upgrade` and after each upgrade.
-- Then give each role a password (in psql: \\password {WORKER}).
-- {OWNER}: `db upgrade`, `db dump`, `db restore`. {WORKER}: all else, the fleet included. {READER}: for looking;
-- it sees no credentials, not even encrypted.
"""


def hide_credentials(connection: Connection) -> None:
    """Let the role that looks see all tables but for credentials, where it is there and the tables are this role's."""
    if connection.execute(_MAY_GRANT, {"role": READER}).scalar_one():
        for statement in _of_reader():
            connection.execute(text(statement))


_MAY_GRANT = text("""
    SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)
        AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass('connections')), 'USAGE')
""")
_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
ALTER SCHEMA {SCHEMA} OWNER TO {OWNER};
DO $$DECLARE one record; BEGIN FOR one IN
  SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'v'
  LOOP EXECUTE format('ALTER VIEW %s OWNER TO {OWNER}', one.name); END LOOP; END$$;
DO $$DECLARE one record; BEGIN FOR one IN
  SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace
  LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO {OWNER}', one.name); END LOOP; END$$;
GRANT USAGE ON SCHEMA {SCHEMA} TO {WORKER}, {READER};
GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {READER};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO {READER};
"""


def _of_worker(database: str, tables: str) -> Iterator[str]:
    rights = "SELECT, INSERT, UPDATE, DELETE"
    yield f"GRANT TEMPORARY ON DATABASE {database} TO {WORKER};"
    yield f"GRANT {rights} ON {tables} TO {WORKER};"
    yield f"REVOKE UPDATE, DELETE, TRUNCATE ON {audit.name} FROM {WORKER};"
    yield f"GRANT SELECT ON alembic_version TO {WORKER}, {READER};"
    yield f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT {rights} ON TABLES TO {WORKER};"


def _of_reader() -> Iterator[str]:
    for table in metadata.sorted_tables:
        seen = ", ".join(_quoted(column.name) for column in table.columns if column.name not in HIDDEN)
        columns = f" ({seen})" if _hides(table) else ""
        yield f"REVOKE ALL ON {_quoted(table.name)} FROM {READER};"
        yield f"GRANT SELECT{columns} ON {_quoted(table.name)} TO {READER};"


def _hides(table: Table) -> bool:
    return any(column.name in HIDDEN for column in table.columns)
