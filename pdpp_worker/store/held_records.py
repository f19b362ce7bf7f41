"""Looks up what the table holds of the keys of a batch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from psycopg import Cursor

from pdpp_worker.protocol.numbers import exact_float
from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.values import DIGEST_BYTES, exact_json
from pdpp_worker.store.versions import NEW, OTHER, SAME, Content, StoredVersion


class Place(NamedTuple):
    """One stream of a connection, and the cursor of the transaction in which it is looked at."""

    cursor: Cursor[Any]
    connection_id: int
    stream: str


# The keys come as one JSON text: an array of thousands of parameters is dear to write and to plan for. The digests come
# in one text of bytes, and are compared here: what has not changed is neither sent nor compared by the worker.
_STANDINGS = f"""
    SELECT coalesce(string_agg(coalesce((
        SELECT CASE WHEN deleted_at IS NULL AND NOT partial
            AND content_hash = substring(%s::bytea FROM (given.place::int - 1) * {DIGEST_BYTES} + 1 FOR {DIGEST_BYTES})
            THEN '{SAME}' ELSE '{OTHER}' END
        FROM records WHERE connection_id = %s AND stream = %s AND records.key = given.key
    ), '{NEW}'), '' ORDER BY given.place), '')
    FROM jsonb_array_elements_text(%s::jsonb) WITH ORDINALITY AS given (key, place)
"""
_HELD = """
    SELECT key, content_hash, version, deleted_at IS NOT NULL, partial, version_digits FROM records
    WHERE connection_id = %s AND stream = %s AND key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""
_DATA = """
    SELECT key, coalesce(convert_from(raw, 'UTF8'), data::text), partial FROM records
    WHERE connection_id = %s AND stream = %s AND key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))
"""


def standings(place: Place, rows: Sequence[RecordRow]) -> str:
    """The standing of each row's key, in their order: a character each, `NEW`, `SAME` or `OTHER`."""
    digests = b"".join([row.digest for row in rows])
    keys = as_json([row.key for row in rows])
    place.cursor.execute(_STANDINGS, (digests, place.connection_id, place.stream, keys), binary=True)
    (found,) = place.cursor.fetchall()
    return str(found[0])


def versions_of(place: Place, keys: Collection[str]) -> dict[str, StoredVersion]:
    """The stored versions of those keys that are held."""
    if not keys:
        return {}
    place.cursor.execute(_HELD, (place.connection_id, place.stream, as_json(keys)), binary=True)
    return {row[0]: StoredVersion._make(row[1:]) for row in place.cursor.fetchall()}


def contents_of(place: Place, keys: Collection[str]) -> dict[str, Content]:
    """The data of those keys that are held."""
    if not keys:
        return {}
    place.cursor.execute(_DATA, (place.connection_id, place.stream, as_json(keys)), binary=True)
    return {key: Content(json.loads(text, parse_float=exact_float), partial) for key, text, partial in place.cursor}


def as_json(keys: Iterable[str]) -> str:
    """Keys as JSON; those with half surrogate pairs need the longer way."""
    listed = list(keys)
    try:
        return orjson.dumps(listed).decode()
    except orjson.JSONEncodeError:
        return exact_json(listed)
