"""`audit`: every change names who made it, stands in the transaction of the change, and stays."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pdpp_worker.owner import audit, connection_changes, gap_changes, gap_filters
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.support.backlog import missing
from tests.support.scripted import Scenario, manifest, record, state

ME = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.fixture
def account(scenario: Scenario) -> Scenario:
    """A connection with a setting, a credential and two gaps."""
    scenario.manifest = manifest(
        settings={"depth": {"title": "Depth", "type": "integer"}},
        credentials={"token": {"title": "Token", "required": False}},
    )
    scenario.send(record("a"), *missing("m1", "m2"), state(1))
    scenario.run()
    return scenario


CHANGES: dict[str, Callable[[Cli], Any]] = {
    "settings.set": lambda cli: cli.ok("connection", "set", "mine", "depth=7"),
    "schedule.set": lambda cli: cli.ok("connection", "set", "mine", "--every", "2h"),
    "rate.set": lambda cli: cli.ok("connection", "set-rate", "mine", "500"),
    "credentials.set": lambda cli: cli.ok("connection", "secret", "mine", "token", stdin="hush-hush\n"),
    "schedule.pause": lambda cli: cli.ok("connection", "pause", "mine"),
    "schedule.resume": lambda cli: cli.ok("connection", "resume", "mine"),
    "gaps.recover": lambda cli: cli.ok("recover", "mine"),
    "run.cancel": lambda cli: cli.ok("cancel", "mine"),
    "gaps.waive": lambda cli: cli.ok("gaps", "waive", "mine", "--all"),
    "gaps.reopen": lambda cli: cli.ok("gaps", "reopen", "mine", "--all"),
    "deletions.confirm": lambda cli: cli.ok("deletions", "confirm", "mine"),
    "deletions.keep": lambda cli: cli.ok("deletions", "keep", "mine"),
    "connection.remove": lambda cli: cli.ok("connection", "remove", "mine", "--yes"),
}


def test_every_change_of_an_owner_is_told_with_who_made_it(cli: Cli, account: Scenario) -> None:
    for change in CHANGES.values():
        change(cli)

    told = cli.json_lines("audit", "mine")

    assert [one["action"] for one in told] == list(CHANGES)
    assert {(one["who"], one["connection"]) for one in told} == {(ME, "mine")}


def test_who_it_was_is_asked_of_the_system_and_not_of_the_caller(
    cli: Cli, account: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "alice")
    CHANGES["rate.set"](cli)
    monkeypatch.setenv("SUDO_USER", "bob")
    CHANGES["schedule.pause"](cli)

    assert [one["who"] for one in cli.json_lines("audit", "mine")] == [ME, f"{ME} (said to be bob)"]


def test_a_connection_that_is_added_is_told_with_its_settings(cli: Cli, account: Scenario) -> None:
    cli.ok("connection", "add", "other", "--connector", "scripted", "--secret", "token=env:HOME", "--set", "depth=7")

    first, *others = cli.json_lines("audit", "other")

    assert (first["action"], others) == ("connection.add", [])
    assert (first["data"]["connector"], first["data"]["credentials"]) == ("scripted", ["token"])
    assert first["data"]["settings"] == {"depth": 7}


def test_a_setting_is_told_with_its_values_and_a_credential_without(cli: Cli, account: Scenario) -> None:
    CHANGES["settings.set"](cli)
    CHANGES["credentials.set"](cli)

    setting, credential = cli.json_lines("audit", "mine")

    assert setting["data"] == {"before": {"depth": None}, "after": {"depth": 7}}
    assert credential["data"] == {"credentials": ["token"]}
    assert "hush" not in cli.ok("audit")


def test_the_list_can_be_narrowed(cli: Cli, account: Scenario) -> None:
    CHANGES["rate.set"](cli)
    with audit.acting_as("web"):
        connection_changes.pause(account.db, "mine", True)

    def listed(*options: str) -> list[str]:
        return [one["action"] for one in cli.json_lines("audit", *options)]

    assert listed("--who", "web") == ["schedule.pause"]
    assert listed("--action", "rate") == listed("--action", "rate.set") == ["rate.set"]
    assert listed("--since", "1h", "--limit", "1") == ["schedule.pause"]
    assert listed("nobody") == []
    assert "Nothing was changed." in cli.ok("audit", "nobody")


def test_a_change_that_fails_is_not_told(account: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(audit, "note", fails)
    with pytest.raises(ZeroDivisionError):
        gap_changes.waive(account.db, "mine", gap_filters.ALL)

    assert {gap["status"] for gap in account.gaps()} == {"open"}


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_database_refuses_to_change_or_forget_what_was_told(db: Database, statement: str) -> None:
    with db.begin() as connection:
        audit.note(connection, "database.restore", None)

    with pytest.raises(DBAPIError, match="append-only"), db.begin() as connection:
        connection.execute(text(statement))
