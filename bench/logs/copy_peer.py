"""orjson and COPY: every line of every transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from bench.copy_documents import copy


def load(database_url: str, source: str) -> None:
    """Load every line."""
    copy(database_url, _rows(Path(source)))


def _rows(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(home.glob("projects/*/*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                one = orjson.loads(line)
                yield f"{path.name}#{one['uuid']}", orjson.dumps(one)
