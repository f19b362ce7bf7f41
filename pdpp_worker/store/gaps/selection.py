"""SQL conditions, and their parameters, for the gaps that a question or a change is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

IS_SELECTED = """
    (CAST(:stream AS text) IS NULL OR gaps.stream = CAST(:stream AS text))
    AND (CAST(:reason AS text) IS NULL OR reason = CAST(:reason AS text))
    AND (CAST(:ids AS bigint[]) IS NULL OR gaps.id = ANY(CAST(:ids AS bigint[])))
"""
IS_WHOLE_STREAM = """scope = '{"partition": {}}'"""
IS_SUPPORTED = f"CASE WHEN scope ? 'resource_id' THEN :resources ELSE :batches AND NOT {IS_WHOLE_STREAM} END"


class GapFilter(NamedTuple):
    """A filter of gaps; None is all."""

    stream: str | None = None
    reason: str | None = None
    ids: Sequence[int] | None = None


class ScopeKinds(NamedTuple):
    """The kinds of scope that a connector can be asked for by itself; a whole stream never is."""

    resources: bool = True
    batches: bool = False


def parameters(selection: GapFilter) -> dict[str, Any]:
    return {**selection._asdict(), "ids": None if selection.ids is None else list(selection.ids)}
