"""dlt: the same records by its merge, which knows them by their key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = "dlt.messages"


def load(database_url: str, _redis_url: str, folder: str) -> None:
    """Load all records."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(Path(folder) / "dlt")}
    import dlt  # type: ignore[import-not-found]

    # It wants a host and a password; the directory of the socket, behind them, overrules the host.
    url = database_url.replace("+psycopg", "", 1).replace("@/", ":none@localhost/", 1)
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path(folder) / "dlt"),
        destination=dlt.destinations.postgres(url),
        dataset_name="dlt",
    )
    # Nested parts stay JSON, as on the other sides.
    resource = dlt.resource(
        _items(Path(folder)), name="messages", primary_key="id", write_disposition="merge", max_table_nesting=0
    )
    pipeline.run(resource)


def _items(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "records.jsonl").open("rb") as file:
        for line in file:
            yield json.loads(line)
