"""The connector keeps the rules: each check of the kit is a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pdpp_sample_notes"


@pytest.mark.pdpp_connector(str(PACKAGE))
def test_the_connector_conforms(pdpp_check: Callable[[], None]) -> None:
    pdpp_check()
