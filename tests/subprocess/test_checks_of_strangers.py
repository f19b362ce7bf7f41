"""A stranger's program runs as a user of its own while an owner tries it before trusting it, as in its runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pdpp_worker.command.connector_user import OWN
from pdpp_worker.conformance.adversary.seeds import SHORT
from pdpp_worker.conformance.own_account import WithOwnAccount
from pdpp_worker.conformance.report import Ending, Result, examine
from pdpp_worker.privileges import may_change_user
from pdpp_worker.registry import Connector
from pdpp_worker.singer.asking import ask
from tests.subprocess.conftest import hostile

pytestmark = [
    pytest.mark.process,  # starts processes itself
    pytest.mark.skipif(not may_change_user(), reason="only root starts programs as another user"),
]
NOTES_WHO = """
import os
from pathlib import Path
notes = Path(os.environ.get("NOTES") or Path(__file__).with_name("notes"))
with notes.open("a") as file:
    file.write(f"{os.geteuid()}\\n")
print('{"type": "STATE", "stream": "items", "cursor": {}}')
print('{"type": "DONE", "status": "succeeded", "records_emitted": 0}')
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A program that somebody else wrote, with a practice account, for everybody to read; it notes who it is."""
    (tmp_path / "connector.py").write_text(NOTES_WHO)
    (tmp_path / "conformance.py").write_text(NOTES_WHO)
    given = hostile("good", settings={"notes": {"title": "Notes", "type": "file", "env": "NOTES"}})
    mine = given.model_copy(update={"command": ["{python}", "connector.py"]})
    (tmp_path / "manifest.json").write_text(mine.model_dump_json(by_alias=True, exclude_defaults=True))
    (tmp_path / "notes").touch()
    (tmp_path / "notes").chmod(0o666)
    tmp_path.chmod(0o755)
    return tmp_path


def users(folder: Path) -> set[int]:
    """The users that its code has run as."""
    return {int(line) for line in (folder / "notes").read_text().split()}


def check(folder: Path, *, own: bool = True, trusted: bool = False) -> Result:
    """Check the program by one run, with an account of the owner's own or the one that it brings."""

    def with_notes(connector: Connector) -> WithOwnAccount:
        return WithOwnAccount(connector, {"notes": str(folder / "notes")}, {}, trusted)

    [result] = examine(str(folder), with_notes if own else None, SHORT, ["protocol"], as_fleet_user=trusted)
    return result


def test_a_check_runs_a_program_as_a_user_of_its_own(foreign: Path) -> None:
    assert check(foreign).ending is Ending.PASSED

    assert len(users(foreign)) == 1
    assert users(foreign) <= set(OWN)


def test_a_check_of_what_another_user_cannot_read_needs_its_owners_word(foreign: Path) -> None:
    (foreign / "notes").chmod(0o600)

    refused = check(foreign)
    assert (refused.ending, users(foreign)) == (Ending.FAILED, set())
    assert "take --as-fleet-user" in refused.found

    assert check(foreign, trusted=True).ending is Ending.PASSED
    assert users(foreign) == {os.geteuid()}


def test_a_practice_account_is_code_too_and_needs_its_owners_word(foreign: Path) -> None:
    refused = check(foreign, own=False)

    assert (refused.ending, users(foreign)) == (Ending.FAILED, set())
    assert "--as-fleet-user" in refused.found


def test_a_tap_is_asked_for_its_catalog_as_a_user_of_its_own_with_its_owners_secrets(tmp_path: Path) -> None:
    tap, config = tmp_path / "bin" / "tap-mine", tmp_path / "config.json"
    tap.parent.mkdir(mode=0o755)
    tap.write_text('#!/bin/sh\nid -u; cat "$2"; echo "$3"\n')
    tap.chmod(0o755)
    tmp_path.chmod(0o755)
    config.touch(mode=0o600)
    config.write_text('{"token": 12345}')

    answer = ask(str(tap), config, "--discover", as_fleet_user=False)

    user, *rest = answer.output.decode().split("\n")
    assert (int(user) in OWN, rest, answer.code) == (True, ['{"token": 12345}--discover'], 0)
