"""DuckDB: the tokens of each day, straight from the files."""

from __future__ import annotations


def load(source: str) -> None:
    """Read every transcript."""
    import duckdb  # type: ignore[import-not-found]

    duckdb.sql(f"""
        SELECT left(timestamp::text, 10) AS day, sum((message->'usage'->>'output_tokens')::bigint)
        FROM read_ndjson('{source}/projects/*/*.jsonl', columns = {{timestamp: 'VARCHAR', message: 'JSON'}})
        GROUP BY day
    """).fetchall()
