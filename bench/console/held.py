"""The database behind the console: a history, a million records with their words, and a hundred thousand gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from bench.year import history
from pdpp_worker.protocol.scope import resource_hash
from pdpp_worker.store.engine import Database


@dataclass(frozen=True)
class Amount:
    """How much there is of it. Two fifths of all belong to the first connection, the rest to the others alike."""

    connections: int = 50
    records: int = 1_000_000
    gaps: int = 100_000
    """Open ones."""
    days: int = 30
    """Length of the history of runs."""


LARGEST = 1
"""The connection that holds most."""
_OWNER = "CASE WHEN n % 5 < 2 THEN 1 ELSE 2 + n % (:connections - 1) END"
_STREAM = "(ARRAY['messages', 'messages', 'messages', 'messages', 'messages', 'messages', 'conversations', 'memories'])"
# Each record has thirty words of fifty thousand, most of them rare, and those by which a class of them is found:
# `wherever` and `whenever` are in half of the records each and never meet, `anew` is in two fifths, `formerly` in the
# oldest fiftieth alone, `largest` in those of one connection, `tenth` in just over ten thousand, `fewest` in ten.
_RECORDS = f"""
    INSERT INTO records (connection_id, stream, key, data, content_hash, partial, emitted_at, first_run_id, last_run_id)
    SELECT {_OWNER}, {_STREAM}[1 + (hashint4(n) & 7)], md5('record' || n),
        jsonb_build_object('id', md5('record' || n), 'title', 'record ' || n,
            'conversation_id', md5('conversation' || n / 20), 'role', 'user',
            'create_time', now() - (:records - n) * interval '5 years' / :records,
            'content', concat_ws(' ',
                CASE WHEN n % 2 = 0 THEN 'wherever' ELSE 'whenever' END,
                CASE WHEN n % 5 IN (1, 3) THEN 'anew' END,
                CASE WHEN n * 50 < :records THEN 'formerly' END,
                CASE WHEN n % 5 < 2 THEN 'largest' END,
                CASE WHEN n % 97 = 0 THEN 'tenth' END,
                CASE WHEN n % greatest(1, :records / 9) = 0 THEN 'fewest' END,
                (SELECT string_agg('w' || floor(50000 * random() ^ 3)::int, ' ') FROM generate_series(1, 30 + n % 2)))),
        decode(md5(n::text), 'hex'), false, now(), 1, 1
    FROM generate_series(1, :records) AS n
"""
_WORDS = """
    INSERT INTO record_index (connection_id, stream, key, at, thread, words)
    SELECT connection_id, stream, key, (data ->> 'create_time')::timestamptz, data ->> 'conversation_id',
        strip(jsonb_to_tsvector('simple', data, '["string"]'))
    FROM records
"""
_GAPS = f"""
    INSERT INTO gaps (connection_id, stream, scope, scope_hash, reason, recovery_kind, status, first_run_id,
        last_run_id, next_attempt_at, connector_version_seen)
    SELECT {_OWNER},
        (ARRAY['conversations', 'messages', 'memories'])[1 + n % 3],
        jsonb_build_object('resource_id', 'item ' || n), hash,
        (ARRAY['upstream_error', 'rate_limited', 'timeout', 'template_unknown'])[1 + n % 4],
        CASE WHEN n % 4 = 3 THEN 'retry_on_connector_upgrade' ELSE 'retry_by_runtime' END,
        CASE WHEN n % 11 = 0 THEN 'exhausted' ELSE 'open' END, 1, 1,
        CASE WHEN n % 4 <> 3 AND n % 11 > 0 THEN now() + (hashint8(n) % 86400) * interval '1 second' END, '1.0.0'
    FROM unnest(CAST(:hashes AS bytea[])) WITH ORDINALITY AS made (hash, n) ORDER BY hashint8(n)
"""
_TRIES = """
    INSERT INTO gap_attempts (gap_id, place, number, run_id, asked_by, connector_version, outcome, reason, error)
    SELECT id, n, n, 1, 'sweep', '1.0.0', 'open', reason, 'the source answered 503'
    FROM gaps, generate_series(1, 3) AS n
"""
# Of the records whose keys come first: the pages look at one of them.
_VERSIONS = """
    INSERT INTO record_versions (connection_id, stream, key, place, data, bytes, partial, emitted_at, run_id,
        connector_version, replaced_by_run_id)
    SELECT connection_id, stream, key, n, data || jsonb_build_object('title', 'version ' || n), 600, false, emitted_at,
        1, '1.0.0', 1
    FROM records, generate_series(1, 3) AS n WHERE key < '1'
"""
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = 'record_index' AND indexname LIKE 'ix_%' AND schemaname = current_schema()
"""


def is_filled(db: Database) -> bool:
    """Whether it was made already."""
    return bool(one(db, "SELECT EXISTS (SELECT FROM records)"))


def fill(db: Database, amount: Amount) -> None:
    """Make it all, and let the server take its statistics as autovacuum would."""
    history.fill(db, amount.days, history.Size(connections=amount.connections, records=0))
    hashes = [resource_hash(f"item {n}") for n in range(1, amount.gaps + 1)]
    values = {"connections": amount.connections, "records": amount.records, "hashes": hashes}
    with db.begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        # Indexes over what is there already take a part of the time.
        indexes = list(connection.execute(text(_INDEXES)))
        for name, _ in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
        for statement in (_RECORDS, _WORDS, _GAPS, _TRIES, _VERSIONS, *(made for _, made in indexes)):
            connection.execute(text(statement), values)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))


def one(db: Database, question: str, **values: Any) -> Any:
    """The one value that answers a question."""
    with db.begin() as connection:
        return connection.execute(text(question), values).scalar_one()
