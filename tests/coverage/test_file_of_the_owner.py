"""A gap that waits for a newer version because of the owner's own file can be mended by the owner, and says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pdpp_worker import registry
from pdpp_worker.coverage.sentences import upgrade_action


@pytest.mark.parametrize(("connector", "is_told"), [("claude_code", True), ("gmail", False)])
def test_the_owner_of_a_broken_file_learns_how_to_go_on_without_a_newer_version(connector: str, is_told: bool) -> None:
    manifest = registry.get(connector).manifest
    outlook: Any = SimpleNamespace(manifest=manifest, view=SimpleNamespace(name="mine", connector=connector))
    gap = cast(Any, SimpleNamespace(connector_version_required=None, connector_version_seen="1.0.0"))

    told = upgrade_action(gap, outlook)

    assert "version above 1.0.0" in told
    assert ("run mine --full" in told and "gaps waive mine" in told) is is_told
