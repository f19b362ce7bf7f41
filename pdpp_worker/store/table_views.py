"""The views in the database: made, changed and dropped until they are those that the schemas of now ask for.

A digest of what a view was made from is its comment, so that one that is as it should be costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from psycopg import Error
from psycopg.errors import DependentObjectsStillExist, InsufficientPrivilege, InvalidTableDefinition
from sqlalchemy import Connection, text

_SERVER = text("SELECT current_setting('server_version_num')::int / 10000")
_MAY = text("""
    SELECT CASE WHEN to_regnamespace(:schema) IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                ELSE has_schema_privilege(:schema, 'CREATE') END
""")
_IS_THERE = text("SELECT to_regnamespace(:schema) IS NOT NULL")
_FOUND = text("""
    SELECT relname AS name, obj_description(oid, 'pg_class') AS made_from
    FROM pg_class WHERE relnamespace = to_regnamespace(:schema) AND relkind = 'v'
""")


class Kept(NamedTuple):
    """Names of the views that were made or changed, of those that went, and why others could not follow."""

    made: list[str]
    dropped: list[str]
    left: dict[str, str]


def keep(
    connection: Connection, schema: str, functions: Sequence[str], views: Mapping[str, str], *, drop: bool
) -> Kept:
    """Bring the views of `schema` to the statements of `views`; nothing but `schema` is touched.

    With `drop`, views that are not in `views` go. One that a view of the owner's stands on stays as it is.
    """
    found = {row.name: row.made_from for row in connection.execute(_FOUND, {"schema": schema})}
    digests = {name: _digest(statement, functions) for name, statement in views.items()}
    changed = [name for name, digest in digests.items() if found.get(name) != digest]
    gone = [name for name in found if drop and name not in views]
    kept = Kept([], [], {})
    if not changed and not gone:
        return kept
    if not connection.execute(_IS_THERE, {"schema": schema}).scalar_one():
        _run(connection, f"CREATE SCHEMA {schema}")
    for statement in functions:
        _run(connection, statement)
    for name in gone:
        _try(connection, kept, kept.dropped, name, [_drop(schema, name)])
    for name in changed:
        steps = [views[name], f"COMMENT ON VIEW {schema}.{_quoted(name)} IS '{digests[name]}'"]
        _try(connection, kept, kept.made, name, [_drop(schema, name), *steps] if name in found else steps)
    return kept


def server_version(connection: Connection) -> int:
    """The server's major version."""
    return int(connection.execute(_SERVER).scalar_one())


def may_keep(connection: Connection, schema: str) -> bool:
    """Whether this role can make the schema, or views in it."""
    return bool(connection.execute(_MAY, {"schema": schema}).scalar_one())


def _try(connection: Connection, kept: Kept, done: list[str], name: str, statements: Sequence[str]) -> None:
    """Do all the statements of a view or none of them; a view that cannot follow keeps no other from it."""
    try:
        with connection.begin_nested():
            for statement in statements:
                _run(connection, statement)
        done.append(name)
    except Error as error:
        kept.left[name] = _why(error)


def _why(error: Error) -> str:
    match error:
        case DependentObjectsStillExist():
            return "a view of yours stands on it; drop that one, then run: pdpp-worker db upgrade"
        case InsufficientPrivilege() | InvalidTableDefinition():
            return "it belongs to another role; run pdpp-worker db upgrade as that role"
        case _:
            return str(error).strip().splitlines()[0]


def _run(connection: Connection, statement: str) -> None:
    """Execute one statement. The extended protocol takes no second one, whatever a connector's query holds."""
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(statement, binary=True)
    finally:
        cursor.close()


def _digest(statement: str, functions: Sequence[str]) -> str:
    return sha256("\n".join([*functions, statement]).encode(errors="surrogatepass")).hexdigest()


def _drop(schema: str, name: str) -> str:
    return f"DROP VIEW {schema}.{_quoted(name)}"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
