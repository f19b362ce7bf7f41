"""A new connector passes the check at once, from the command line and from its own tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pdpp_worker.cli.program import app
from pdpp_worker.conformance import attempt
from pdpp_worker.conformance.report import Ending, begin

pytestmark = pytest.mark.process  # starts processes itself

PLANTED = ("unknown field", "unknown member", "contradicting total")
CHECKED = ("manifest", "protocol", "recovery", "targeted fetch", "inventory", *PLANTED)
ROOT = Path(__file__).parents[2]


def program(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in a directory, as an author would."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", "PATH": ""},
        capture_output=True,
        text=True,
    )


def call(*arguments: str) -> Result:
    """A command of the group, in this process."""
    return CliRunner().invoke(app, ["connector", *arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which a connector was begun."""
    directory = tmp_path_factory.mktemp("author")
    done = program(directory, "pdpp_worker", "connector", "new", "bird_songs")
    assert done.returncode == 0, done.stderr
    return directory


def test_its_own_tests_pass_through_the_plugin(made: Path) -> None:
    plugin = ("-p", "pdpp_worker.conformance.plugin", "-p", "no:cacheprovider")

    done = program(made / "bird_songs", "pytest", "-q", "--strict-markers", "-W", "error", *plugin)

    assert done.returncode == 0, done.stdout
    assert "19 passed" in done.stdout


def test_nothing_of_the_sample_is_left_in_it(made: Path) -> None:
    files = [path for path in (made / "bird_songs").rglob("*") if path.is_file()]

    assert {path.parent.name for path in files} == {"bird_songs", "pdpp_bird_songs", "tests"}
    assert [path for path in files if "sample" in path.read_text().lower()] == []


def test_a_defect_in_it_is_exit_code_1_and_a_sentence(tmp_path: Path) -> None:
    call("new", "sea_songs", "--directory", str(tmp_path))
    code = tmp_path / "pdpp_sea_songs" / "connector.py"
    code.write_text(code.read_text().replace('{"after": change["number"]}', '{"after": change["number"] + 1}'))

    checked = call("check", str(tmp_path))

    assert checked.exit_code == 1
    assert re.search(r"nothing missing\s+FAILED", checked.output)
    assert "missing without a word: note-3" in checked.output


def test_the_results_can_be_had_as_json(tmp_path: Path) -> None:
    call("new", "wind_songs", "--directory", str(tmp_path))

    results = json.loads(call("check", str(tmp_path), "--json").output)

    assert sorted({one["ending"] for one in results}) == ["not checked", "passed"]
    left_out = [one["check"] for one in results if one["ending"] == "not checked"]
    assert left_out == ["leniency", "repeated id", "counts", "lying provider"]
    assert results[0] == {"check": "manifest", "ending": "passed", "found": "1 stream supplied, 0 never"}


@pytest.mark.process
def test_a_program_of_any_language_passes_too(tmp_path: Path) -> None:
    call("new", "star_songs", "--directory", str(tmp_path), "--command")

    with ExitStack() as stack:
        examination = begin(str(tmp_path), stack, as_fleet_user=True)
        results = [examination.result(name) for name in CHECKED]

    written = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert written == {"manifest.json", "connector.py", "conformance.py"}
    assert [(one.check, one.found) for one in results if one.ending is not Ending.PASSED] == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("line", "silence_s", "check", "sentence"),
    [
        ("import time; time.sleep(600)", 0.5, "protocol", "says nothing for 0.5 s"),
        ("sys.stderr.write(' '.join(os.environ.values()))", 60.0, "no secrets", "only the worker's mask"),
    ],
    ids=["silent", "tells a secret"],
)
def test_a_program_that_does_what_only_programs_can_do_wrong_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, silence_s: float, check: str, sentence: str
) -> None:
    monkeypatch.setattr(attempt, "SILENCE_S", silence_s)
    call("new", "moon_songs", "--directory", str(tmp_path), "--command")
    code = tmp_path / "connector.py"
    code.write_text(code.read_text().replace("\nimport ", f"\nimport os, sys; {line}\nimport ", 1))

    with ExitStack() as stack:
        examination = begin(str(tmp_path), stack, as_fleet_user=True)
        results = {name: examination.result(name) for name in ("protocol", "no secrets")}

    assert results[check].ending is Ending.FAILED
    assert sentence in results[check].found


def test_what_is_there_is_not_overwritten(made: Path) -> None:
    done = call("new", "bird_songs", "--directory", str(made / "bird_songs"))

    assert done.exit_code == 2
    assert "is there already" in done.output


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    done = call("new", "Bird-Songs", "--directory", str(tmp_path))

    assert done.exit_code == 2
    assert "'Bird-Songs' is no connector's name" in done.output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_connector_is_named_with_those_that_exist() -> None:
    done = call("check", "nowhere")

    assert done.exit_code == 2
    assert "There is no connector named 'nowhere'; known: chatgpt" in done.output
