"""The items of a list that is read whole each time, and those that are on it no longer."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from connectors.slack.fields import strings
from connectors.slack.rows import Obj
from pdpp_worker.connector.json_fields import table

KNOWN = 5_000
"""Items of a list of which it is noticed that they are gone: the cursor names each."""


class Absence(NamedTuple):
    """The items that are gone, and the part of the cursor that knows the list."""

    gone: list[str]
    kept: Obj


def absence(cursor: Obj, met: Collection[str], run: str) -> Absence:
    """Compare a list with how it was; `met` are its items now.

    The cursor's part is {"ids": the items, "doubts": item that is gone, to the run that said so first}. Such an
    item is said to be gone in the walks of two runs. A list without anything proves nothing.
    """
    ids, doubts = strings(cursor.get("ids")), table(cursor.get("doubts"))
    if not met:
        return Absence([], {"ids": ids, "doubts": doubts})
    gone = [key for key in ids if key not in met]
    first = {key: doubts.get(key, run) for key in gone if doubts.get(key, run) == run}
    return Absence(gone, {"ids": [*list(met)[:KNOWN], *first], "doubts": first})
