"""Skips of connectors of the profile that say in words what is missing: none is lost, and cursors move all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.added.added_connectors import Asked, add
from tests.subprocess.conftest import HERE, Commands


class LogBook:
    """A folder of logs, and a connection that collects it."""

    def __init__(self, commands: Commands, tmp_path: Path) -> None:
        self._commands = commands
        self.folder = tmp_path / "logs"
        self.folder.mkdir()
        added = add(HERE / "log_book", Asked(["python3", "log_book.py"]), tmp_path / "own", [])
        commands.use(HERE / "log_book", added.manifest.model_copy(update={"name": "scripted"}))
        commands.configure(settings=json.dumps({"log_book_dir": str(self.folder)}))
        self.write("a", "1 one", "2 two")
        self.write("b", "3 three")

    def write(self, name: str, *lines: str) -> None:
        """Write a log."""
        (self.folder / f"{name}.log").write_text("\n".join(lines))

    @property
    def states(self) -> list[dict[str, Any] | None]:
        """The cursors that came with each START."""
        [file] = self._commands.settings.data_dir.glob("files/*/starts")
        return [json.loads(line)["state"] for line in file.read_text().splitlines()]


@pytest.fixture
def log_book(commands: Commands, tmp_path: Path) -> LogBook:
    """A log book."""
    return LogBook(commands, tmp_path)


def test_a_record_that_is_named_in_the_words_of_its_skip_costs_no_more_than_itself(
    commands: Commands, log_book: LogBook
) -> None:
    log_book.write("b", "3 three", "4", "5 five")

    commands.run()

    [gap] = commands.gaps()
    assert (gap["stream"], gap["scope"], gap["reason"]) == ("lines", {"resource_id": "4"}, "parse_failed")
    assert commands.cursors() == {"lines": '{"last":5}'}


def test_a_cursor_that_comes_with_a_skip_moves_and_a_part_is_missing(commands: Commands, log_book: LogBook) -> None:
    log_book.write("a", "damaged")

    run = commands.run()

    [gap] = commands.gaps()
    assert (gap["scope"], gap["last_error"]) == (
        {"partition": {"skipped": "upstream_error"}},
        "log_damaged: A log is damaged",
    )
    assert (run["status"], commands.cursors()) == ("partially_completed", {"lines": '{"last":3}'})


def test_a_walk_before_the_miss_is_due_takes_only_what_is_new(commands: Commands, log_book: LogBook) -> None:
    log_book.write("a", "damaged")
    commands.run()
    log_book.write("a", "1 one", "2 two")
    log_book.write("c", "4 four")
    commands.execute("UPDATE gaps SET next_attempt_at = now() + interval '1 hour'")

    commands.run()

    assert log_book.states[-1] == {"lines": {"last": 3}}
    assert set(commands.held("lines")) == {"3", "4"}
    assert commands.gaps()[0]["status"] == "open"


def test_a_due_miss_behind_a_cursor_is_gone_back_for_without_it(commands: Commands, log_book: LogBook) -> None:
    log_book.write("a", "damaged")
    commands.run()
    log_book.write("a", "1 one", "2 two")
    commands.elapse()

    run = commands.run()

    assert log_book.states[-1] is None
    assert set(commands.held("lines")) == {"1", "2", "3"}
    assert (run["status"], commands.gaps()[0]["status"]) == ("succeeded", "recovered")


def test_what_is_skipped_again_counts_an_attempt_and_stays_open(commands: Commands, log_book: LogBook) -> None:
    log_book.write("a", "damaged")
    commands.run()
    commands.elapse()

    commands.run()

    [gap] = commands.gaps()
    assert (gap["status"], gap["attempts"]) == ("open", 2)
    assert commands.cursors() == {"lines": '{"last":3}'}


def test_a_skip_without_a_cursor_is_the_whole_stream(commands: Commands, log_book: LogBook) -> None:
    commands.run()
    shutil.rmtree(log_book.folder)

    commands.run()

    [gap] = commands.gaps()
    assert (gap["stream"], gap["scope"]) == ("lines", {"partition": {}})
    assert commands.cursors() == {"lines": '{"last":3}'}


def test_a_stream_of_which_nothing_is_said_beside_a_missing_one_is_not_walked(
    commands: Commands, log_book: LogBook
) -> None:
    commands.run()
    shutil.rmtree(log_book.folder)

    run = commands.run()

    logs = commands.stream(run["id"], "logs")
    assert (logs["state"], logs["error"]) == ("unfinished", "the connector said nothing of it")


def test_a_skip_of_a_program_that_dies_is_told(commands: Commands, log_book: LogBook) -> None:
    log_book.write("a", "damaged")
    (log_book.folder / "broken").touch()

    commands.run()

    gaps = {one["stream"]: one["last_error"] for one in commands.gaps()}
    assert gaps["lines"] == "log_damaged: A log is damaged"
    assert commands.cursors() == {}


def test_totals_that_fall_short_are_a_miss_where_nothing_else_tells_of_it(
    commands: Commands, log_book: LogBook
) -> None:
    log_book.write("silent", "4 four")

    run = commands.run()

    [gap] = commands.gaps()
    assert (gap["stream"], gap["last_error"]) == ("logs", "Of 3 items that were considered, 2 are covered")
    assert run["status"] == "partially_completed"
