"""Progress is shown while a command waits: in place on a terminal, as lines in a pipe."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from rich.console import Console

from pdpp_worker.cli import progress
from pdpp_worker.cli.commands import status
from pdpp_worker.connector import Message, Progress, Reason, ResourceScope, skip
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.cli.test_run import at_work
from tests.support.scripted import Scenario, manifest, record, state

TARGETED = {"recovery": {"supports_targeted_resource_fetch": True}}


def terminal(shown: io.StringIO) -> Console:
    """A terminal whose text can be read."""
    return Console(file=shown, force_terminal=True, color_system=None, highlight=False)


def half_of_it() -> list[Message]:
    """A record, and one that is missing."""
    return [
        record("a"),
        Progress(stream="items", message="", count=1, total=2),
        skip("items", Reason.TIMED_OUT, ResourceScope(resource_id="b")),
        state(1),
    ]


def test_a_run_in_a_pipe_is_told_in_lines_until_it_has_ended(cli: Cli, scenario: Scenario) -> None:
    scenario.send(*half_of_it())

    with at_work(scenario):
        result = cli("run", "mine", "--watch")

    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == "run 1 of mine: partially completed; seen: items 1 of 2"
    assert "Run 1 of mine partially completed" in result.stdout


def test_without_being_asked_a_run_in_a_pipe_says_its_end_only(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"))

    with at_work(scenario):
        assert cli("run", "mine").stderr == ""


def test_on_a_terminal_progress_stands_in_place_as_a_table(
    cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda **_: terminal(shown))
    scenario.send(*half_of_it())

    with at_work(scenario):
        result = cli("run", "mine")

    assert result.exit_code == 3
    assert "run 1 of mine: " in shown.getvalue()
    assert "1 of 2" in shown.getvalue()


def test_recovery_is_watched_to_its_end_and_has_the_exit_code_of_a_run(cli: Cli, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", **TARGETED))
    scenario.send(*half_of_it())
    scenario.run()
    scenario.send(record("b"))

    with at_work(scenario):
        result = cli("recover", "mine", "--watch")

    assert result.exit_code == 0
    assert "run 2 of mine: succeeded" in result.stderr
    assert "Run 2 of mine succeeded" in result.stdout


def until_stopped(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
    """Let these things happen between two looks, and Ctrl-C follow the last."""
    left = list(steps)

    def pause(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=pause))


def test_status_in_a_pipe_is_told_anew_at_each_change_only(
    cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"), state(1))
    until_stopped(monkeypatch, lambda: None, scenario.run, lambda: None)

    result = cli("status", "--watch")

    assert result.exit_code == 130
    assert result.stdout.count("mine: last run") == 2
    assert "items\t1\t" in result.stdout


def test_status_is_watched_as_json_lines(cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.send(record("a"), state(1))
    until_stopped(monkeypatch, scenario.run)

    before, after = map(json.loads, cli("status", "--watch", "--json").stdout.splitlines())

    assert [before[0]["records"], after[0]["records"]] == [None, 1]


def test_status_on_a_terminal_stands_in_place(cli: Cli, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(status, "console", lambda: terminal(shown))
    scenario.send(record("a"), state(1))
    scenario.run()
    until_stopped(monkeypatch)

    assert cli("status", "--watch").exit_code == 130
    assert "mine: last run succeeded" in shown.getvalue()
    assert "complete" in shown.getvalue()


def test_ctrl_c_before_the_first_look_tells_of_the_run_all_the_same(
    db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> Iterator[list[progress.Look]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "_looks", interrupted)

    with pytest.raises(KeyboardInterrupt):
        progress.watch(db, [7])

    assert "pdpp-worker runs show 7" in capsys.readouterr().err
