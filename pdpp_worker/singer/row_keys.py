"""The keys of one stream's rows in one walk, and those under which a walk before held them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pdpp_worker.singer.record_fields import is_deletion, key_of, mixed_properties

Key = str | list[str]


class RowKeys:
    """Makes keys from the key properties that a SCHEMA names.

    Equal rows of a table without key properties are counted: the second and each further one of a walk has its number
    in its key.
    """

    def __init__(
        self, names: Sequence[str], schemas: Sequence[Mapping[str, Any]], before: Sequence[str] | None
    ) -> None:
        """`before`: the key properties of the walk before, where they were others."""
        self.names = list(names)
        self._mixed = set().union(*(mixed_properties(schema) for schema in schemas))
        self._before = before if before is not None and list(before) != self.names else None
        self._equal: Counter[str] = Counter()

    def key(self, row: Mapping[str, Any]) -> Key:
        """The key of a row."""
        key = key_of(row, self.names, self._mixed)
        if self.names or not isinstance(key, str) or is_deletion(row):
            return key
        number = self._equal[key]
        self._equal[key] += 1
        return key if number == 0 else f"{key}#{number}"

    def former(self, row: Mapping[str, Any], key: Key) -> Iterator[Key]:
        """The key of the same row by the key properties of the walk before, where it is another one."""
        if self._before is None:
            return
        former = key_of(row, self._before, self._mixed)
        if former != key:
            yield former
