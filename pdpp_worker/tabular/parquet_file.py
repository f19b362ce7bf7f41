"""Records as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow
import pyarrow.parquet

from pdpp_worker.store.views.record_views import ExportedRecord
from pdpp_worker.tabular.table_columns import Kind
from pdpp_worker.tabular.table_rows import StreamTable, groups

_TYPES = {
    Kind.TEXT: pyarrow.string(),
    Kind.INTEGER: pyarrow.int64(),
    Kind.NUMBER: pyarrow.float64(),
    Kind.BOOLEAN: pyarrow.bool_(),
    Kind.INSTANT: pyarrow.timestamp("us", tz="UTC"),
    Kind.DATE: pyarrow.date32(),
    Kind.JSON: pyarrow.string(),
}


def write_parquet(path: Path, table: StreamTable, records: Iterable[ExportedRecord]) -> int:
    """Write the records into a new file; returns how many."""
    schema = pyarrow.schema([(name, _TYPES[kind]) for name, kind in table.types])
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in groups(table.rows(records)):
            by_column = zip(zip(*rows, strict=True), schema, strict=True)
            file.write_batch(pyarrow.record_batch([pyarrow.array(each, one.type) for each, one in by_column], schema))
            count += len(rows)
    return count
