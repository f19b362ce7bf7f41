"""Every connector that comes along passes its check, and what cannot be checked of it is known."""

from __future__ import annotations

import pytest

from pdpp_worker.conformance.report import Ending, examine

pytestmark = pytest.mark.process  # some practice accounts are processes

OF_PROGRAMS = {"leniency"}
NOT_CHECKED = {
    "chatgpt": OF_PROGRAMS,
    "gmail": OF_PROGRAMS,
    "slack": OF_PROGRAMS,
    "claude_code": {"failing requests", "stops when told"} | OF_PROGRAMS,
    "usaa": {"failing requests", "stops when told", "lying provider"} | OF_PROGRAMS,
}


@pytest.mark.process
@pytest.mark.parametrize("name", NOT_CHECKED)
def test_a_built_in_connector_passes(name: str) -> None:
    results = list(examine(name))

    assert [(one.check, one.found) for one in results if one.ending is Ending.FAILED] == []
    assert {one.check for one in results if one.ending is Ending.NOT_CHECKED} == NOT_CHECKED[name]
