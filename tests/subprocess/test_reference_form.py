"""A connector as those of the profile: first run, second run, recovery, faults; nothing that it sent is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.added.added_connectors import Asked, add
from pdpp_worker.command.blob_store import FOLDER
from tests.subprocess.conftest import HERE, Commands

LETTERS: dict[str, Any] = {
    "1": {"text": "one", "pages": [1], "stamp": "red"},
    "2": {"text": "two", "pages": None},
    "3": {"text": "three", "pages": [1], "scan": "pixels"},
}


class PostBox:
    """An exported post box, and a connection that collects it."""

    def __init__(self, commands: Commands, tmp_path: Path) -> None:
        self._commands = commands
        self._folder = tmp_path / "export" / "letters"
        self._folder.mkdir(parents=True)
        added = add(HERE / "post_box", Asked(["python3", "post_box.py"]), tmp_path / "own", [])
        commands.use(HERE / "post_box", added.manifest.model_copy(update={"name": "scripted"}))
        commands.configure(settings=json.dumps({"post_box_dir": str(tmp_path / "export")}))
        for name, letter in LETTERS.items():
            self.write(name, json.dumps(letter))

    def write(self, name: str, text: str) -> None:
        """Write a letter."""
        (self._folder / f"{name}.json").write_text(text)

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The START message of each run."""
        [file] = self._commands.settings.data_dir.glob("files/*/starts")
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def post_box(commands: Commands, tmp_path: Path) -> PostBox:
    """A post box."""
    return PostBox(commands, tmp_path)


def test_a_first_run_takes_everything_and_names_what_is_missing(commands: Commands, post_box: PostBox) -> None:
    run = commands.run()

    assert (run["status"], run["messages_refused"], run["records_flushed"]) == ("partially_completed", {}, 6)
    assert commands.cursors() == {"letters": '{"newest":3}', "stamps": '{"count":1}'}
    [gap] = commands.gaps()
    assert (gap["stream"], gap["scope"], gap["parent_stream"], gap["record_key"]) == (
        "pages",
        {"resource_id": "2"},
        "letters",
        2,
    )


def test_a_second_run_takes_what_is_new(commands: Commands, post_box: PostBox) -> None:
    commands.run()
    post_box.write("4", json.dumps({"text": "four", "pages": [1], "stamp": "blue"}))

    run = commands.run()

    assert run["records_emitted"] == 3
    assert post_box.starts[-1]["state"] == {"letters": {"newest": 3}, "stamps": {"count": 1}}
    assert commands.cursors()["stamps"] == '{"count":2}'


def test_a_due_gap_rides_on_the_next_walk_and_is_closed_by_its_word(commands: Commands, post_box: PostBox) -> None:
    commands.run()
    commands.elapse()
    post_box.write("2", json.dumps({"text": "two", "pages": [1]}))

    run = commands.run()

    [handed] = post_box.starts[-1]["detail_gaps"]
    assert {name: handed[name] for name in ("stream", "record_key", "parent_stream", "status", "detail_locator")} == {
        "stream": "pages",
        "record_key": 2,
        "parent_stream": "letters",
        "status": "pending",
        "detail_locator": {"letter": 2},
    }
    assert "recovery_only" not in post_box.starts[-1]
    assert (run["status"], commands.gaps()[0]["status"]) == ("succeeded", "recovered")


def test_a_gap_that_is_put_off_again_counts_one_attempt(commands: Commands, post_box: PostBox) -> None:
    commands.run()
    commands.elapse()

    commands.run()

    [gap] = commands.gaps()
    assert (gap["status"], gap["attempts"]) == ("open", 2)


def test_a_gap_that_is_carried_and_not_tried_counts_no_attempt(commands: Commands, post_box: PostBox) -> None:
    commands.run()
    commands.elapse()
    post_box.write("2", "{")

    commands.run()

    [gap] = [one for one in commands.gaps() if one["stream"] == "pages"]
    assert (gap["status"], gap["attempts"]) == ("open", 1)
    assert commands.rows("SELECT 1 FROM gaps WHERE stream = 'pages' AND next_attempt_at <= now()") == []


def test_a_record_that_cannot_be_read_is_a_gap_of_its_own(commands: Commands, post_box: PostBox) -> None:
    post_box.write("1", "{")

    commands.run()

    gaps = {(one["stream"], one["scope"]["resource_id"]): one["recovery_kind"] for one in commands.gaps()}
    assert gaps == {("letters", "1"): "retry_on_connector_upgrade", ("pages", "2"): "retry_by_runtime"}


def test_a_blob_is_kept_beside_the_record_that_names_it(commands: Commands, post_box: PostBox) -> None:
    commands.run()

    scan = commands.held("letters")["3"]["scan"]
    [kept] = commands.settings.data_dir.glob(f"files/*/{FOLDER}/*/*")
    assert (scan["sha256"], scan["size_bytes"], kept.read_text()) == (kept.name, 6, "pixels")


def test_a_blob_that_there_is_no_room_for_is_a_gap_until_it_is_kept(commands: Commands, post_box: PostBox) -> None:
    settings = commands.settings
    commands.settings = settings.model_copy(update={"connection_files_mb": 1})
    post_box.write("3", json.dumps({"text": "three", "pages": [1], "scan": "x" * 2_000_000}))

    run = commands.run()

    assert (run["status"], set(commands.held("letters"))) == ("partially_completed", {"1", "2", "3"})
    assert ("letters", {"resource_id": "3"}, "storage_full") in [
        (one["stream"], one["scope"], one["reason"]) for one in commands.gaps()
    ]
    commands.settings = settings
    commands.elapse()
    commands.run()
    assert commands.held("letters")["3"]["scan"]["size_bytes"] == 2_000_000
    assert {one["stream"] for one in commands.gaps() if one["status"] == "open"} == {"pages"}


def test_a_run_that_nobody_watches_says_so(commands: Commands, post_box: PostBox) -> None:
    commands.run()

    [start] = post_box.starts
    assert start["trigger"] == "scheduled"
    assert set(start["bindings"]) == {"browser", "filesystem", "network"}
