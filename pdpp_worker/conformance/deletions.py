"""Deletions in memory, by the rules of the store: doubts, the brake, and what belongs to a record."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.brake import waits_for_owner
from pdpp_worker.store.versions import Fates

Rows = dict[str, dict[str, RecordRow]]
"""Stream and key to the row that stands."""
Place = tuple[str, str]
"""Stream and key."""
Children = Mapping[str, Iterable[tuple[str, str]]]
"""Parent stream to its children, each with the field that holds the parent's key."""


@dataclass(frozen=True)
class Doubt:
    """A held record that a walk did not find."""

    first_run: int
    last_run: int
    at: datetime
    waits: bool = False
    """Whether it waits for the owner."""


@dataclass
class Deletions:
    """Records in doubt, and records that went with a parent."""

    children: Children = field(default_factory=dict)
    doubts: dict[Place, Doubt] = field(default_factory=dict)
    went_with: dict[Place, Place] = field(default_factory=dict)
    """A record that was deleted with its parent, to the parent."""

    def take(self, run: int, sent: Mapping[str, list[RecordRow]], fates: Mapping[str, Fates], rows: Rows) -> None:
        """Carry on the deletions and returns of a batch that was written, and note its doubts."""
        for stream, one in fates.items():
            for key in (*one.deleted, *one.returned):
                self.went_with.pop((stream, key), None)
            self._restore_with([(stream, key) for key in one.returned], rows)
        for stream, one in fates.items():
            self._delete_with(stream, one.deleted, rows)
        for stream, given in sent.items():
            for row in given:
                if not row.absent:
                    self.doubts.pop((stream, row.key), None)
            for key, at in fates[stream].absent.items():
                known = self.doubts.get((stream, key), Doubt(run, run, at))
                self.doubts[stream, key] = replace(known, last_run=run, at=at)

    def settle(self, stream: str, missing: Collection[str], rows: Rows) -> None:
        """A run walked the stream to its end; `missing` are the keys about which a gap is open."""
        agreed = {key: one for (name, key), one in self.doubts.items() if name == stream and _is_agreed(one)}
        keys = [key for key, one in agreed.items() if not one.waits and key not in missing]
        waiting = sum(one.waits for one in agreed.values())
        held = sum(not row.deleted for row in rows.get(stream, {}).values())
        if waits_for_owner(len(keys) + waiting, held) and keys:
            self.doubts.update({(stream, key): replace(agreed[key], waits=True) for key in keys})
            return
        gone = {key: agreed[key].at for key in keys if not rows[stream][key].deleted}
        for key in keys:
            del self.doubts[stream, key]
        for key, at in gone.items():
            rows[stream][key] = rows[stream][key]._replace(deleted=True, emitted_at=at)
        self._delete_with(stream, gone, rows)

    def _delete_with(self, stream: str, deleted: Mapping[str, datetime], rows: Rows) -> None:
        for child, name in self.children.get(stream, ()) if deleted else ():
            gone = {}
            for key, row in rows.get(child, {}).items():
                parent = _field(row, name)
                if not row.deleted and parent is not None and parent in deleted:
                    gone[key] = deleted[parent]
                    self.went_with[child, key] = stream, parent
            for key in gone:
                rows[child][key] = rows[child][key]._replace(deleted=True)
            self._delete_with(child, gone, rows)

    def _restore_with(self, returned: list[Place], rows: Rows) -> None:
        while returned:
            children = [child for child, parent in self.went_with.items() if parent in returned]
            for stream, key in children:
                rows[stream][key] = rows[stream][key]._replace(deleted=False)
                del self.went_with[stream, key]
            returned = children


def _is_agreed(doubt: Doubt) -> bool:
    return doubt.waits or doubt.first_run != doubt.last_run


def _field(row: RecordRow, name: str) -> str | None:
    """A field as the database gives it as text."""
    value = json.loads(row.text).get(name)
    return value if isinstance(value, str) or value is None else json.dumps(value)
