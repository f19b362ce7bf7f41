"""SQL of the views: one for each stream of a connector, over all its connections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pdpp_worker.tabular.table_columns import COLLECTED, CONNECTION, DATA, KEY, Column, Kind, columns_of, table_names

SCHEMA = "pdpp_tables"
"""The schema of the views. A role that may use it, and select from its views, sees records and nothing else."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters in whose place `jsonb` holds U+FFFD."""
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ]|$)"
# A cast in a block with a handler costs more, and is what a server before 16 has.
_CAST_BEFORE_16 = """
    CREATE OR REPLACE FUNCTION {schema}.as_{name}(value jsonb) RETURNS {type} LANGUAGE plpgsql STABLE STRICT AS $$
    BEGIN
        RETURN CASE WHEN value #>> '{{}}' ~ '{form}' THEN (value #>> '{{}}')::{type} END;
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$
"""
_CAST = """
    CREATE OR REPLACE FUNCTION {schema}.as_{name}(value jsonb) RETURNS {type} LANGUAGE sql STABLE STRICT AS $$
        SELECT CASE WHEN value #>> '{{}}' ~ '{form}' AND pg_input_is_valid(value #>> '{{}}', '{type}')
                    THEN (value #>> '{{}}')::{type} END
    $$
"""
_READER = """
    CREATE OR REPLACE FUNCTION {schema}.as_{name}(value jsonb) RETURNS {type} LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT {expression}
    $$
"""
_WHOLE = """
            CASE WHEN jsonb_typeof(value) = 'number' THEN
                CASE WHEN value::numeric % 1 = 0
                      AND value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
                     THEN value::numeric::bigint END
            END"""
_READERS = {
    Kind.TEXT: ("text", "CASE WHEN value <> 'null' THEN value #>> '{}' END"),
    Kind.NUMBER: ("numeric", "CASE WHEN jsonb_typeof(value) = 'number' THEN value::numeric END"),
    Kind.INTEGER: ("bigint", _WHOLE),
    Kind.BOOLEAN: ("boolean", "CASE WHEN jsonb_typeof(value) = 'boolean' THEN value::boolean END"),
    Kind.JSON: ("jsonb", "nullif(value, 'null')"),
}
_CASTS = {Kind.INSTANT: "timestamptz", Kind.DATE: "date"}

_HELD = """
    SELECT connection_id, key, data, emitted_at FROM records
    WHERE stream = {stream} AND deleted_at IS NULL"""
_COMPUTED = """
    SELECT connections.id AS connection_id, computed.key, computed.data, computed.emitted_at
    FROM connections AS connections CROSS JOIN LATERAL (
        WITH records AS (
            SELECT stream, key, data, emitted_at FROM records
            WHERE connection_id = connections.id AND deleted_at IS NULL
        )
        SELECT key, data, emitted_at FROM (
{query}
        ) AS computed
    ) AS computed
    WHERE connections.connector = {connector}"""
_VIEW = """
CREATE VIEW {schema}.{name} AS
SELECT {columns}
FROM connections AS owned JOIN ({rows}
) AS held ON held.connection_id = owned.id
WHERE owned.connector = {connector}"""


class Stream(NamedTuple):
    """A stream of a connector, its JSON Schema, and for a computed one the SELECT of its connector."""

    connector: str
    name: str
    schema: Mapping[str, Any]
    query: str | None


def functions(server_version: int) -> list[str]:
    """The functions that read one typed value, for a server of this major version."""
    cast = _CAST if server_version >= 16 else _CAST_BEFORE_16
    return [
        *(
            _READER.format(schema=SCHEMA, name=kind, type=type_, expression=expression)
            for kind, (type_, expression) in _READERS.items()
        ),
        *(cast.format(schema=SCHEMA, name=kind, type=type_, form=_INSTANT) for kind, type_ in _CASTS.items()),
    ]


def views(streams: Iterable[Stream]) -> dict[str, str]:
    """Name of each view to the statement that makes it."""
    by_name = {(one.connector, one.name): one for one in streams}
    return {name: _view(name, by_name[stream]) for stream, name in table_names(by_name).items()}


def _view(name: str, stream: Stream) -> str:
    connector = _literal(stream.connector)
    rows = _HELD.format(stream=_literal(stream.name))
    if stream.query is not None:
        rows = _COMPUTED.format(query=stream.query, connector=connector)
    columns = ",\n       ".join(_selected(columns_of(stream.schema)))
    return _VIEW.format(schema=SCHEMA, name=_quoted(name), columns=columns, rows=rows, connector=connector)


def _selected(columns: Sequence[Column]) -> list[str]:
    typed = (f"{SCHEMA}.as_{one.kind}(held.data -> {_literal(one.member)}) AS {_quoted(one.name)}" for one in columns)
    own = (f"owned.name AS {CONNECTION}", f"held.key AS {KEY}")
    return [*own, *typed, f"held.emitted_at AS {COLLECTED}", f"held.data AS {DATA}"]


def _literal(text: str) -> str:
    fitting = _UNSTORABLE.sub("\ufffd", text).replace("\\", "\\\\").replace("'", "''")
    return f"E'{fitting}'"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
