"""Dependencies of the project are listed with their licences, and looked up in the advisories that one gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs._reference.pages import PAGES
from docs._supply.__main__ import COULD_NOT_LOOK, FOUND, main
from docs._supply.licences import UNTOLD, is_allowed, licences
from docs._supply.pins import pins_of
from tests.support.pages import ROOT

RANGE = [{"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"last_affected": "3.1"}]


def advisory(folder: Path, **changes: Any) -> Path:
    """A folder with one advisory about `some-package`."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Some_Package"},
        "ranges": [{"type": "ECOSYSTEM", "events": RANGE}],
    }
    content = {"id": "OSV-1", "summary": "It leaks.", "affected": [affected], **changes}
    (folder / "OSV-1.json").write_text(json.dumps(content))
    return folder


def pinned(folder: Path, version: str) -> list[Path]:
    """A file that pins the package."""
    path = folder / "requirements.txt"
    path.write_text(f"some-package=={version} ; python_version > '3' \\\n    --hash=sha256:00\nother==1\n")
    return [path]


def test_every_package_has_a_licence_that_is_allowed() -> None:
    assert {name: licence for name, licence in licences().items() if not is_allowed(licence)} == {}


@pytest.mark.parametrize("licence", ["", "GPL-3.0", "MIT AND GPL-3.0-only", "Proprietary", "AGPL-3.0"])
def test_others_are_not(licence: str) -> None:
    assert not is_allowed(licence)


def test_nothing_is_told_by_hand_of_a_package_that_is_not_used() -> None:
    assert set(UNTOLD) <= set(licences())


def test_the_page_lists_every_package_that_is_pinned() -> None:
    page = PAGES["reference/licences.md"]()

    assert [name for name in pins_of(ROOT / "requirements" / "run.txt") if f"| {name} |" not in page] == []


@pytest.mark.parametrize(
    ("version", "code"), [("1.9", FOUND), ("2.0", 0), ("2.5", 0), ("3.0", FOUND), ("3.1", FOUND), ("3.2", 0)]
)
def test_a_version_is_looked_up_in_the_advisories(tmp_path: Path, version: str, code: int) -> None:
    assert main(str(advisory(tmp_path)), pinned(tmp_path, version)) == code


def test_a_withdrawn_advisory_is_none(tmp_path: Path) -> None:
    other = {"id": "OSV-2", "affected": [{"package": {"ecosystem": "PyPI", "name": "else"}}]}
    (tmp_path / "OSV-2.json").write_text(json.dumps(other))

    assert main(str(advisory(tmp_path, withdrawn="2026-01-01T00:00:00Z")), pinned(tmp_path, "1.0")) == 0


def test_an_empty_folder_is_no_clean_bill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(tmp_path), pinned(tmp_path, "1.0")) == COULD_NOT_LOOK
    assert "Nothing was looked up" in capsys.readouterr().err
