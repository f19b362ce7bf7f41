"""The keys that a command prints with --json are those that its page documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from docs._reference.json_output import OUTPUTS, keys
from pdpp_worker.connector import Reason, Record, ResourceScope, skip
from pdpp_worker.stored_files import connection_files
from tests.cli.conftest import Cli
from tests.support.scripted import NOW, Scenario, record, state

PRINTED: dict[str, Callable[[Cli], Any]] = {
    "status": lambda cli: cli.json("status")[0],
    "coverage": lambda cli: cli.json("coverage")[0],
    "why": lambda cli: cli.json("why", "mine", "items", "c"),
    "report": lambda cli: cli.json("report"),
    "rate": lambda cli: cli.json("rate")[0],
    "runs list": lambda cli: cli.json("runs", "list")[0],
    "runs show": lambda cli: cli.json("runs", "show", str(cli.json("runs", "list")[0]["id"])),
    "gaps list": lambda cli: cli.json_lines("gaps", "list", "mine")[0],
    "deletions list": lambda cli: cli.json_lines("deletions", "list", "mine")[0],
    "events": lambda cli: cli.json_lines("events")[0],
    "audit": lambda cli: cli.ok("connection", "pause", "mine") and cli.json_lines("audit")[0],
    "connection check": lambda cli: json.loads(cli("connection", "check", "mine", "--json").stdout),
    "connection list": lambda cli: cli.json("connection", "list")[0],
    "connection show": lambda cli: cli.json("connection", "show", "mine"),
    "connector show": lambda cli: cli.json("connector", "show", "scripted"),
    "connectors": lambda cli: cli.json("connectors")[0],
    "files list": lambda cli: cli.json("files", "list", "mine")[0],
    "data list": lambda cli: cli.json("data", "list")[0],
    "db stats": lambda cli: cli.json("db", "stats")[0],
    "db revision": lambda cli: cli.json("db", "revision"),
}


def test_every_command_is_tried_but_those_that_examine_something_else() -> None:
    assert set(OUTPUTS) - set(PRINTED) == {"doctor", "connector check"}


@pytest.mark.parametrize("command", PRINTED)
def test_a_command_prints_the_documented_keys(cli: Cli, scenario: Scenario, command: str) -> None:
    missed = skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id="c"))
    scenario.send(record("a"), missed, state({"at": 1}))
    scenario.run()
    connection_files.store_at(scenario.settings, scenario.settings.data_dir / "files" / "1-mine").write("a", b"a")
    deletion = Record(stream="items", key="a", data={"id": "a"}, emitted_at=NOW, op="delete", ground="absent")
    scenario.send(deletion, missed)
    scenario.run()

    printed = PRINTED[command](cli)

    assert set(printed) == set(keys(command))
