"""A part of a source that the connector does not know is named wherever its owner asks, and nothing is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pdpp_worker.connector import DetailGap, Inventory, Reason, SourceMember, skip
from pdpp_worker.coverage.source_parts import size_of
from pdpp_worker.protocol.scope import WHOLE_STREAM
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record, state

CHATS = SourceMember(kind="file", name="chats.json", disposition="collected", streams=["items"], count=2, bytes=950)
TODOS = SourceMember(kind="files", name="todos/*.json", disposition="unknown", count=12, bytes=48_000)
CLOSED = SourceMember(kind="list", name="archived", disposition="declared", count=3, reason="a setting is off")
UNKNOWN = "12 files like todos/*.json (48 kB)"
LEFT_OUT = "list archived (3 items): left out: a setting is off"
PARTS = {"name": "parts", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}


def walk(scenario: Scenario, *members: SourceMember, version: str = "1.0.0") -> None:
    """Walk a source of two streams, of which the second hangs on the first, and a third one, to its end."""
    scenario.manifest = manifest("items", PARTS, "others", version=version)
    streams = ("items", "parts", "others")
    scenario.send(
        *(record("a", stream) for stream in streams),
        Inventory(part="disk", members=list(members)),
        *(state(1, stream) for stream in ("items", "others")),
    )
    scenario.run()


def verdicts(cli: Cli) -> dict[str, str]:
    return {row["stream"]: row["verdict"] for row in cli.json("coverage")}


def said_of(cli: Cli, stream: str = "items") -> dict[str, Any]:
    [row] = [row for row in cli.json("coverage") if row["stream"] == stream]
    return dict(row)


class TestVerdict:
    """A stream to which an unknown member may belong is not complete."""

    def test_of_all_streams_where_nobody_knows_where_it_belongs(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, CHATS, TODOS)

        assert set(verdicts(cli).values()) == {"unknown_parts"}

    def test_of_the_streams_that_are_named_and_those_that_hang_on_them(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, TODOS.model_copy(update={"streams": ["items"]}))

        assert verdicts(cli) == {"items": "unknown_parts", "parts": "unknown_parts", "others": "complete"}

    def test_what_is_declared_or_collected_does_no_harm(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, CHATS, CLOSED)

        assert set(verdicts(cli).values()) == {"complete"}

    def test_nobody_knows_how_much_is_missing(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, TODOS)

        assert said_of(cli)["missing"] is None

    def test_it_is_complete_once_a_version_knows_the_member(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, TODOS)

        known = TODOS.model_copy(update={"disposition": "collected", "streams": ["items"]})
        walk(scenario, known, version="2.0.0")

        assert set(verdicts(cli).values()) == {"complete"}

    def test_a_miss_is_told_beside_it(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(
            record("a"),
            Inventory(part="disk", members=[TODOS]),
            skip("items", Reason.TEMPLATE_UNKNOWN, WHOLE_STREAM),
            state(1),
        )
        scenario.run()

        row = said_of(cli)
        assert row["verdict"] == "waiting_for_upgrade"
        assert UNKNOWN in row["because"]


class TestSentences:
    """The owner is told what it is, and what to do."""

    def test_what_is_not_known_and_to_which_version(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, TODOS)

        row = said_of(cli)
        who = "version 1.0.0 of the connector scripted"
        assert row["because"] == f"The source has {UNKNOWN}, which {who} does not know."
        assert row["next"].startswith("Look for a newer version of the connector scripted, or tell its author")

    def test_a_version_that_was_installed_since_has_to_look(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, TODOS)
        scenario.install(lambda _start, _context: iter(()), manifest("items", PARTS, "others", version="2.0.0"))

        said = said_of(cli)["next"]
        assert "Version 2.0.0 of the connector scripted, which is installed now, has not looked yet." in said
        assert "pdpp-worker run mine" in said

    def test_of_many_the_first_are_named(self, cli: Cli, scenario: Scenario) -> None:
        tables = [SourceMember(kind="table", name=f"T{number}", disposition="unknown", count=1) for number in range(5)]
        walk(scenario, *tables)

        expected = "table T0 (1 item), table T1 (1 item), table T2 (1 item), 2 others"
        assert expected in said_of(cli)["because"]

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (48_000, "48 kB"), (1_234_567, "1.23 MB"), (10**15, "1e+03 TB")],
    )
    def test_a_size_is_short(self, count: int, text: str) -> None:
        assert size_of(count) == text


SHOWN: dict[str, Callable[[Cli], str]] = {
    "coverage": lambda cli: cli.ok("coverage"),
    "report": lambda cli: cli.ok("report"),
    "why": lambda cli: cli.ok("why", "mine", "todos/a.json"),
    "connection show": lambda cli: cli.ok("connection", "show", "mine"),
}


@pytest.mark.parametrize("command", SHOWN)
def test_every_command_names_the_unknown(cli: Cli, scenario: Scenario, command: str) -> None:
    walk(scenario, CHATS, TODOS, CLOSED)

    said = " ".join(SHOWN[command](cli).split())

    assert "todos/*.json" in said
    assert "48 kB" in said


@pytest.mark.parametrize("command", ["coverage", "report"])
def test_what_is_declared_is_listed_with_its_reason(cli: Cli, scenario: Scenario, command: str) -> None:
    walk(scenario, CHATS, CLOSED)

    said = " ".join(SHOWN[command](cli).split())

    assert LEFT_OUT in said
    assert "chats.json" not in said


def test_status_counts_them(cli: Cli, scenario: Scenario) -> None:
    walk(scenario, TODOS, CLOSED)

    assert {row["unknown_parts"] for row in cli.json("status")} == {1}
    assert "unknown parts 1" in cli.ok("status")


def test_all_commands_show_one_inventory(cli: Cli, scenario: Scenario) -> None:
    walk(scenario, CHATS, TODOS, CLOSED)

    shown = cli.json("connection", "show", "mine")["inventory"]
    [part] = cli.json("report")["connections"]

    assert part["inventory"] == shown
    assert [(one["name"], one["disposition"], one["streams"]) for one in shown] == [
        ("chats.json", "collected", ["items"]),
        ("todos/*.json", "unknown", []),
        ("archived", "declared", []),
    ]
    unknown = [one for one in shown if one["disposition"] == "unknown"]
    assert all(row["unknown_parts"] == unknown for row in [*cli.json("coverage"), *part["streams"]])
    assert cli.json("why", "mine", "todos/b.json")["member"] == unknown[0]


class TestWhy:
    """The answer about a member."""

    @pytest.mark.parametrize(
        ("name", "state", "who"),
        [
            ("todos/a.json", "unknown_part", "upgrade"),
            ("todos/*.json", "unknown_part", "upgrade"),
            ("archived", "left_out", "nobody"),
            ("chats.json", "collected", None),
        ],
    )
    def test_it_says_what_the_member_is(
        self, cli: Cli, scenario: Scenario, name: str, state: str, who: str | None
    ) -> None:
        walk(scenario, CHATS, TODOS, CLOSED)

        alone, in_stream = cli.json("why", "mine", name), cli.json("why", "mine", "items", name)

        assert (alone["state"], alone["who_mends"], alone["stream"]) == (state, who, None)
        assert {**in_stream, "stream": None} == alone

    def test_an_item_of_that_name_comes_first(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, SourceMember(kind="file", name="a", disposition="unknown"))

        assert cli.json("why", "mine", "items", "a")["state"] == "held"

    def test_a_gap_of_that_name_comes_first(self, cli: Cli, scenario: Scenario) -> None:
        scenario.send(
            record("a"),
            Inventory(part="disk", members=[TODOS]),
            DetailGap(stream="items", record_key="todos/a.json", reason="timed_out"),
            state(1),
        )
        scenario.run()

        assert cli.json("why", "mine", "items", "todos/a.json")["state"] == "missing"

    def test_a_name_that_nobody_knows_is_no_stream(self, cli: Cli, scenario: Scenario) -> None:
        walk(scenario, CHATS)

        assert "mine has no stream 'nothing'" in cli("why", "mine", "nothing").output
