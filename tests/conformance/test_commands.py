"""Checks of programs of any language: messages that are refused, and an account of the owner's own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pdpp_worker.cli.program import app
from pdpp_worker.conformance.new import COMMAND, write
from pdpp_worker.conformance.report import Ending, begin
from pdpp_worker.conformance.report import Result as Checked

pytestmark = pytest.mark.process  # starts processes itself

READS_A_FILE = """
import json, os, sys
start = json.loads(sys.stdin.readline())
for number, line in enumerate(open(os.environ["LIST_FILE"])):
    data = {"id": str(number), "text": line.strip()}
    record = {"type": "RECORD", "stream": "lines", "key": data["id"], "data": data}
    print(json.dumps({**record, "emitted_at": "2026-01-01T00:00:00Z"}))
print(json.dumps({"type": "STATE", "stream": "lines", "cursor": {}}))
print(json.dumps({"type": "DONE", "status": "succeeded", "records_emitted": number + 1}))
"""
OWN_PLACE = """
PLACE = Path(os.environ["PDPP_FILES_DIR"]) / "place"

def kept():
    return {"after": int(PLACE.read_text()) if PLACE.exists() else 0}

def keep(change):
    PLACE.write_text(str(change["number"]))
    return {"after": change["number"]}
"""
LINES = {
    "name": "lines",
    "version": "1.0.0",
    "title": "Lines",
    "command": ["{python}", "connector.py"],
    "settings": {"list": {"title": "List", "type": "file", "required": True, "env": "LIST_FILE"}},
    "streams": [
        {
            "name": "lines",
            "schema": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "text": {"type": "string"}},
            },
        }
    ],
}


def results(directory: Path, *names: str) -> dict[str, Checked]:
    """The results of some checks of the connector in the directory."""
    with ExitStack() as stack:
        examination = begin(str(directory), stack, as_fleet_user=True)
        return {name: examination.result(name) for name in names}


def call(*arguments: str) -> Result:
    """`connector check`, in this process."""
    return CliRunner().invoke(app, ["connector", "check", *arguments])


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A program as its author begins it."""
    write("hill_songs", tmp_path, COMMAND)
    return tmp_path


@pytest.fixture
def of_a_file(tmp_path: Path) -> Path:
    """A program that reads a file, without a practice account."""
    (tmp_path / "connector.py").write_text(READS_A_FILE)
    (tmp_path / "manifest.json").write_text(json.dumps(LINES))
    (tmp_path / "list.txt").write_text("one\ntwo\n")
    return tmp_path


def change(directory: Path, old: str, new: str) -> None:
    """Write something else into the program."""
    code = directory / "connector.py"
    assert old in code.read_text()
    code.write_text(code.read_text().replace(old, new))


def test_each_row_of_the_table_of_leniency_is_tried_in_its_own_conversation(begun: Path) -> None:
    found = results(begun, "leniency")["leniency"]

    assert (found.ending, found.found) == (
        Ending.PASSED,
        "6 messages taken by their defaults, 10 refused; each cost nothing else",
    )


def test_a_program_whose_place_is_its_own_loses_what_a_withheld_cursor_was_to_bring_back(begun: Path) -> None:
    change(begun, "import json\n", "import json\nfrom pathlib import Path\n")
    change(begun, 'place = (start.get("state") or {}).get(STREAM) or {"after": 0}', "place = kept()")
    change(begun, '            place = {"after": change["number"]}\n', "            place = keep(change)\n")
    change(begun, "def note(key", f"{OWN_PLACE}\n\ndef note(key")

    found = results(begun, "leniency")["leniency"]

    assert found.ending is Ending.FAILED
    assert "later runs do not hold the same" in found.found


def test_a_message_that_is_refused_is_named_and_the_other_checks_go_on(begun: Path) -> None:
    change(
        begun, '        yield {"type": "STATE"', '        yield {"type": "NOTES_SEEN"}\n        yield {"type": "STATE"'
    )

    found = results(begun, "protocol", "nothing missing")

    assert found["protocol"].ending is Ending.FAILED
    assert "NOTES_SEEN.type: the profile has no message of this type" in found["protocol"].found
    assert found["nothing missing"].ending is Ending.PASSED


def test_without_a_practice_account_each_check_says_what_it_needs(of_a_file: Path) -> None:
    found = results(of_a_file, "manifest", "protocol")

    assert found["manifest"].ending is Ending.PASSED
    assert found["protocol"].ending is Ending.NOT_CHECKED
    assert "--set and --secret name an account of your own" in found["protocol"].found


def test_with_files_of_the_owners_own_all_checks_take_part_but_those_that_need_the_truth(of_a_file: Path) -> None:
    done = call(str(of_a_file), "--set", f"list={of_a_file / 'list.txt'}", "--as-fleet-user", "--json")

    endings = {one["check"]: one["ending"] for one in json.loads(done.output)}
    assert [check for check, ending in endings.items() if ending == "failed"] == ["narrowed scope"]
    assert {check for check, ending in endings.items() if ending == "passed"} >= {
        *("manifest", "protocol", "leniency", "determinism", "streams alone", "kill and resume"),
    }
    assert endings["nothing missing"] == "not checked"


def test_an_account_over_the_network_is_not_asked_hundreds_of_times(begun: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a token of the owner")

    done = call(str(begun), "--secret", f"token=file:{token}")

    assert done.exit_code == 1
    assert "bring a practice account" in " ".join(done.output.split())


def test_a_message_of_the_dialect_has_a_name_in_every_sentence(begun: Path) -> None:
    totals = (
        '{"type": "DETAIL_COVERAGE", "reference_only": True, "stream": STREAM, "state_stream": STREAM, "considered": 1}'
    )
    whole = totals.replace("}", ', "covered": 1, "required_keys": [], "hydrated_keys": []}')
    change(begun, '        yield {"type": "STATE"', f'        yield {whole}\n        yield {{"type": "STATE"')

    found = results(begun, "kill and resume")["kill and resume"]

    assert found.ending is Ending.PASSED, found.found
