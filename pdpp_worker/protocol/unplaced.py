"""A miss in a stream of which nothing says where it lies: skipped by a command whose cursor moved past it.

It is a part of the stream. Only a walk without a cursor comes to it again.
"""

from __future__ import annotations

from pdpp_worker.protocol.scope import BatchScope, Scope

_PART = "skipped"


def unplaced(reason: str) -> BatchScope:
    """The scope of what was skipped for this reason, wherever it lies."""
    return BatchScope(partition={_PART: reason})


def is_unplaced(scope: Scope) -> bool:
    """Whether a scope is such a miss."""
    return isinstance(scope, BatchScope) and scope.range is None and scope.partition.keys() == {_PART}
