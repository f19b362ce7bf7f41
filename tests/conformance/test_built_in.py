"""Every connector that comes along passes its check, and what cannot be checked of it is known."""

from __future__ import annotations

import pytest

from pdpp_worker.conformance.report import Ending, examine

pytestmark = pytest.mark.process  # some practice accounts are processes

OF_PROGRAMS = {"leniency"}
NOT_CHECKED: dict[str, set[str]] = {
    "chatgpt": set(),
    "gmail": set(),
    "slack": set(),
    "claude_code": {"failing requests", "stops when told"},
    "usaa": {"failing requests", "stops when told"},
}
NOT_PLANTED: dict[str, set[str]] = {
    "chatgpt": {"inventory", "unknown member", "repeated id", "counts"},
    "gmail": {"unknown member", "counts"},
    "slack": set(),
    "claude_code": {"contradicting total"},
    "usaa": {"counts"},
}
"""Checks for which the practice account cannot plant anything, or the connector has nothing to say."""


@pytest.mark.process
@pytest.mark.parametrize("name", NOT_CHECKED)
def test_a_built_in_connector_passes(name: str) -> None:
    results = list(examine(name))

    unchecked = {one.check for one in results if one.ending is Ending.NOT_CHECKED}
    assert [(one.check, one.found) for one in results if one.ending is Ending.FAILED] == []
    assert NOT_CHECKED[name] <= unchecked <= NOT_CHECKED[name] | NOT_PLANTED[name] | OF_PROGRAMS
