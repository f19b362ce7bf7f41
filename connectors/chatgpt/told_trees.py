"""The messages that each conversation was last told to have, on disk: so that one that vanishes from a tree is noticed.

A message that is no longer in a whole tree is said to be absent by two runs, like an item that is no longer on a list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdpp_worker.connector.json_fields import strings, table

if TYPE_CHECKING:
    from pdpp_worker.connector import FileStore


@dataclass(frozen=True)
class Told:
    """The tree of a conversation against the one before."""

    vanished: Sequence[str] = ()
    """Messages that are absent now."""
    is_settled: bool = True
    """Whether all of them were said to be absent by an earlier run too."""
    is_same: bool = True
    """Whether it holds the very same messages."""


class ToldTrees:
    """The trees of one connection, as `run_id` finds them."""

    def __init__(self, store: FileStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def compare(self, key: str, names: Sequence[str]) -> Told:
        """Note a whole tree, and tell what is no longer in it.

        Raises:
            ConfigurationError: the directory cannot be written.
        """
        before, doubts = self._load(key)
        absent = {name: doubts.get(name, self._run_id) for name in [*before, *doubts] if name not in set(names)}
        first = {name: run for name, run in absent.items() if run == self._run_id}
        is_same = set(before) == set(names)
        if not is_same or first != doubts:
            self._save(key, names, first)
        return Told(sorted(absent), not first, is_same)

    def add(self, key: str, names: Sequence[str]) -> None:
        """Note messages that a part of the tree holds; nothing is concluded from those that it does not hold."""
        before, doubts = self._load(key)
        if set(names) - set(before):
            self._save(key, [*dict.fromkeys([*before, *names])], doubts)

    def _load(self, key: str) -> tuple[list[str], dict[str, str]]:
        with suppress(OSError, ValueError):
            saved = table(json.loads(self._store.read(_path(key))))
            return strings(saved.get("names")), table(saved.get("doubts"))
        return [], {}

    def _save(self, key: str, names: Sequence[str], doubts: dict[str, str]) -> None:
        self._store.write(_path(key), json.dumps({"names": list(names), "doubts": doubts}).encode())


def _path(key: str) -> str:
    return f"trees/{key[-2:]}/{key}.json"
