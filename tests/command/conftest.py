"""The context of the vectors: a post box, and a run that hands over a gap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pdpp_worker.command.dialect.forms import Facts, Item
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.protocol.profile.mapping import map_manifest
from pdpp_worker.protocol.scope import ResourceScope
from tests.protocol.test_vectors import vectors

NOW = datetime(2026, 3, 2, tzinfo=UTC)
POST_BOX = map_manifest(vectors("manifest")[0]["message"], ["program"]).manifest
IN_SCOPE = frozenset({"letters", "stamps", "scans", "parcels", "tracking"})
HANDED = GapToClose(
    gap_id="g-41",
    stream="scans",
    scope=ResourceScope(resource_id="L-9"),
    reason="upstream_error",
    parent_stream="letters",
    detail_locator={"kind": "postbox.scan", "letter": "L-9"},
)


def reader(*gaps: GapToClose, **facts: Any) -> DialectReader:
    """A reader of the run; START has handed its gaps over."""
    handover = Handover(gaps or [HANDED], token=lambda: "l-41")
    handover.first()
    known = {"manifest": POST_BOX, "in_scope": IN_SCOPE, "now": lambda: NOW, **facts}
    return DialectReader(Facts(handover=handover, **known))


@pytest.fixture
def read() -> Callable[..., list[Item]]:
    """Reads one message of the run, given as members or as a line."""
    import json

    one = reader()

    def read_one(line: bytes | None = None, **message: Any) -> list[Item]:
        return list(one.read(json.dumps(message).encode() if line is None else line))

    return read_one
