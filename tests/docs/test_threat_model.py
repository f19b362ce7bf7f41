"""Each threat names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_each_row_names_a_test_that_is_there() -> None:
    threats = PAGE.partition("## Threats")[2].partition("## Where")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ")][1:]
    named = [re.search(r"`(tests/\S+\.py)`: `(\w+)` \|$", row) for row in rows]

    assert rows
    assert all(named)
    assert [one[0] for one in named if one and f"def {one[2]}(" not in (ROOT / one[1]).read_text()] == []
