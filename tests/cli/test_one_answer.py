"""Every command says the same of when, why and who, whatever the state of the database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from pdpp_worker import registry
from pdpp_worker.cli.program import app
from pdpp_worker.connector import DetailGap, Message, Reason, ResourceScope, skip
from pdpp_worker.protocol.scope import WHOLE_STREAM
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record, state

REASON = "answered 503 three times"
TARGETED = {"supports_targeted_resource_fetch": True}
SILENT = {
    "audit",
    "connection check",
    "connection list",
    "connection show",
    "connector check",
    "connector show",
    "connectors",
    "data list",
    "db revision",
    "db stats",
    "files list",
    "deletions list",
    "doctor",
    "events",
}
"""Commands that print JSON and say nothing of when, why or who."""
TOLERANCE = timedelta(minutes=1)
"""Two commands are not run at the same instant."""


@dataclass
class Said:
    """The answer of a command; questions that it does not answer are left out."""

    wait: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Until when nothing is asked for, and why."""
    tries: dict[int, str | None] = field(default_factory=dict)
    """Gap to its next try."""
    resolvers: dict[int, str | None] = field(default_factory=dict)
    """Gap to who resolves it, of all gaps; a report has those that are open."""
    next_at: list[str | None] = field(default_factory=list)
    """The next try of the one stream."""
    done_at: list[str | None] = field(default_factory=list)
    """When all that is retried will be here."""


def wait_of(found: dict[str, Any]) -> tuple[str | None, str | None]:
    return (found["waits_until"], found["wait_reason"])


def by_status(cli: Cli) -> Said:
    [row] = cli.json("status")
    return Said(wait=[wait_of(row)], next_at=[row["next_retry_at"]], done_at=[row["done_at"]])


def by_coverage(cli: Cli) -> Said:
    [row] = cli.json("coverage")
    return Said(wait=[wait_of(row)], next_at=[row["next_attempt_at"]], done_at=[row["done_at"]])


def by_report(cli: Cli) -> Said:
    [part] = cli.json("report")["connections"]
    [row] = part["streams"]
    return Said(
        wait=[wait_of(part), wait_of(row)],
        tries={gap["id"]: gap["next_attempt_at"] for gap in row["gaps"]},
        resolvers={gap["id"]: gap["who_mends"] for gap in row["gaps"]},
        next_at=[row["next_attempt_at"]],
        done_at=[row["done_at"]],
    )


def by_rate(cli: Cli) -> Said:
    [row] = cli.json("rate")
    return Said(wait=[wait_of(row)], done_at=[row["done_at"]])


def by_gaps(cli: Cli) -> Said:
    found = cli.json_lines("gaps", "mine", "--status", "all")
    return Said(
        wait=[wait_of(gap) for gap in found],
        tries={gap["id"]: gap["next_attempt_at"] for gap in found},
        resolvers={gap["id"]: gap["who_mends"] for gap in found},
    )


def by_why(cli: Cli) -> Said:
    said = Said()
    for gap in cli.json_lines("gaps", "mine", "--status", "all"):
        found = cli.json("why", str(gap["id"]))
        said.wait.append(wait_of(found))
        said.tries[gap["id"]] = found["next_attempt_at"]
        said.resolvers[gap["id"]] = found["who_mends"]
        assert found["gap"]["next_attempt_at"] == found["next_attempt_at"]
    stream = cli.json("why", "mine", "items")
    return Said(
        [*said.wait, wait_of(stream)], said.tries, said.resolvers, [stream["next_attempt_at"]], [stream["done_at"]]
    )


def by_runs(cli: Cli) -> Said:
    return Said(wait=[wait_of(run) for run in cli.json("runs") if run["ended_at"] is None])


def by_a_run(cli: Cli) -> Said:
    shown = [cli.json("runs", "show", str(run["id"])) for run in cli.json("runs")]
    assert all(wait_of(run) == (None, None) for run in shown if run["ended_at"] is not None)
    return Said(wait=[wait_of(run) for run in shown if run["ended_at"] is None])


VIEWS: dict[str, Callable[[Cli], Said]] = {
    "status": by_status,
    "coverage": by_coverage,
    "report": by_report,
    "rate": by_rate,
    "gaps list": by_gaps,
    "why": by_why,
    "runs list": by_runs,
    "runs show": by_a_run,
}


def collect(scenario: Scenario, *messages: Message, version: str = "1.0.0", **recovery: Any) -> None:
    """Walk to the end and learn a rate of one request a second; two gaps of two reasons, and what is given."""
    scenario.manifest = manifest(version=version, recovery={**TARGETED, **recovery})
    gaps = [
        DetailGap(stream="items", record_key=key, reason=why)
        for key, why in (("b", "timed_out"), ("c", "rate_limited"))
    ]
    scenario.send(record("a"), *gaps, *messages, state(1))
    scenario.run()
    learn(scenario, {})
    scenario.execute("UPDATE gaps SET next_attempt_at = now() - interval '1 minute' WHERE next_attempt_at IS NOT NULL")


def learn(scenario: Scenario, found: dict[str, Any]) -> None:
    statement = """
        INSERT INTO rate_states (connection_id, state) VALUES (:id, CAST(:state AS jsonb))
        ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state
    """
    scenario.execute(statement, id=scenario.connection_id, state=json.dumps({"interval_ms": 1000.0, **found}))


def due(scenario: Scenario) -> None:
    collect(scenario)


def later(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE gaps SET next_attempt_at = now() + interval '2 hours' WHERE reason = 'timed_out'")


def held(scenario: Scenario) -> None:
    collect(scenario)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    learn(scenario, {"hold": {"until": until, "reason": REASON}})


def run_that_waits(scenario: Scenario) -> None:
    collect(scenario)
    scenario.queue()
    statement = "UPDATE runs SET not_before = now() + interval '1 hour', wait_reason = :reason WHERE ended_at IS NULL"
    scenario.execute(statement, reason=REASON)


def run_that_waits_in_a_longer_hold(scenario: Scenario) -> None:
    run_that_waits(scenario)
    until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    learn(scenario, {"hold": {"until": until, "reason": "the budget of 40 a minute is used up"}})


def run_that_waits_without_a_reason(scenario: Scenario) -> None:
    run_that_waits(scenario)
    scenario.execute("UPDATE runs SET wait_reason = NULL")


def run_at_work(scenario: Scenario) -> None:
    run_that_waits(scenario)
    scenario.execute(
        "UPDATE leases SET expires_at = now() + interval '1 hour', run_id = (SELECT max(id) FROM runs)",
    )


def hold_that_is_none(scenario: Scenario) -> None:
    collect(scenario)
    learn(scenario, {"hold": {"until": "soon"}})


def pause_of_the_provider(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE connections SET cooldown_until = now() + interval '1 hour'")


def whole_stream(scenario: Scenario) -> None:
    collect(scenario, skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))


def slow_recovery(scenario: Scenario) -> None:
    collect(scenario, targeted_fetch_rate_hint="1/hour")


def low_ceiling(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE connections SET min_interval_ms = 600000")


def not_asked_for_one_by_one(scenario: Scenario) -> None:
    collect(scenario, supports_targeted_resource_fetch=False)


def nothing_learned(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("DELETE FROM rate_states")


def not_installed(scenario: Scenario) -> None:
    collect(scenario)
    scenario._monkeypatch.setattr(registry, "all_connectors", dict)


def unknown_layout(scenario: Scenario) -> None:
    collect(scenario, skip("items", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id="t")))


def newer_version_that_does_not_retry(scenario: Scenario) -> None:
    unknown_layout(scenario)
    scenario.install(lambda _start, _context: iter(()), manifest(version="2.0.0", recovery=TARGETED))


def given_up(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE gaps SET status = 'exhausted'")


def closed(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE gaps SET status = 'waived', closed_at = now() WHERE reason = 'timed_out'")
    scenario.execute("UPDATE gaps SET status = 'recovered', closed_at = now() WHERE reason = 'rate_limited'")


def sign_in_expired(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute(
        "UPDATE gaps SET reason = 'credentials_expired', next_attempt_at = NULL WHERE reason = 'timed_out'"
    )


def paused(scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute(
        "INSERT INTO schedules (connection_id, every_s, paused, next_run_at) VALUES (:id, 60, true, now())",
        id=scenario.connection_id,
    )


STATES: tuple[Callable[[Scenario], None], ...] = (
    due,
    later,
    held,
    run_that_waits,
    run_that_waits_in_a_longer_hold,
    run_that_waits_without_a_reason,
    run_at_work,
    hold_that_is_none,
    pause_of_the_provider,
    whole_stream,
    slow_recovery,
    low_ceiling,
    not_asked_for_one_by_one,
    nothing_learned,
    not_installed,
    unknown_layout,
    newer_version_that_does_not_retry,
    given_up,
    closed,
    sign_in_expired,
    paused,
)
any_state = pytest.mark.parametrize("arrange", STATES, ids=lambda arrange: arrange.__name__)


@any_state
def test_all_commands_give_one_answer(cli: Cli, scenario: Scenario, arrange: Callable[[Scenario], None]) -> None:
    arrange(scenario)

    said = {name: view(cli) for name, view in VIEWS.items()}

    assert len({wait for one in said.values() for wait in one.wait}) == 1, said
    tries, resolvers = said["gaps list"].tries, said["gaps list"].resolvers
    assert all(one.tries.items() <= tries.items() for one in said.values()), said
    assert all(one.resolvers.items() <= resolvers.items() for one in said.values()), said
    assert said["why"].resolvers == resolvers
    first = min((at for at in tries.values() if at is not None), default=None)
    assert {at for one in said.values() for at in one.next_at} == {first}, said
    assert_one_instant([at for one in said.values() for at in one.done_at])


def assert_one_instant(times: list[str | None]) -> None:
    """All of them are unknown, or none is and all of them are the same but for the time between two commands."""
    known = sorted(datetime.fromisoformat(at) for at in times if at is not None)
    assert len(known) in (0, len(times)), times
    assert not known or known[-1] - known[0] < TOLERANCE, times


@pytest.mark.parametrize("arrange", [held, run_that_waits, pause_of_the_provider], ids=lambda arrange: arrange.__name__)
def test_the_text_of_every_command_says_until_when_and_why(
    cli: Cli, scenario: Scenario, arrange: Callable[[Scenario], None]
) -> None:
    arrange(scenario)
    reason = cli.json("rate")[0]["wait_reason"]
    gap = str(cli.json_lines("gaps", "mine")[0]["id"])

    commands = [
        ("status",),
        ("coverage",),
        ("report",),
        ("rate",),
        ("gaps", "mine"),
        ("why", gap),
        ("why", "mine", "items"),
    ]
    commands += [("runs",)] if cli.json("runs")[0]["ended_at"] is None else []

    for command in commands:
        said = " ".join(cli.ok(*command).split())
        assert f": {reason}" in said, command
        assert "until " in said, command


@pytest.mark.parametrize("arrange", [held, run_that_waits], ids=lambda arrange: arrange.__name__)
def test_recover_says_it_too(cli: Cli, scenario: Scenario, arrange: Callable[[Scenario], None]) -> None:
    arrange(scenario)

    said = " ".join(cli.ok("recover", "mine").split())

    assert re.search(rf"waits until [\d: -]+: {REASON}", said)


class TestWhen:
    """The one answer."""

    def test_a_gap_that_is_held_is_not_due_now(self, cli: Cli, scenario: Scenario) -> None:
        held(scenario)

        assert all(gap["next_attempt_at"] == gap["waits_until"] for gap in cli.json_lines("gaps", "mine"))
        assert "now" not in cli.ok("gaps", "mine")

    def test_the_hint_and_the_ceiling_bound_the_forecast(self, cli: Cli, scenario: Scenario) -> None:
        slow_recovery(scenario)
        assert self.left(cli) > timedelta(minutes=119)

        scenario.reset()
        low_ceiling(scenario)
        assert self.left(cli) > timedelta(minutes=19)

    def test_a_hold_comes_before_the_work(self, cli: Cli, scenario: Scenario) -> None:
        held(scenario)

        assert self.left(cli) > timedelta(minutes=59)

    @pytest.mark.parametrize("arrange", [whole_stream, not_asked_for_one_by_one, nothing_learned])
    def test_what_is_of_unknown_size_has_no_known_end(
        self, cli: Cli, scenario: Scenario, arrange: Callable[[Scenario], None]
    ) -> None:
        arrange(scenario)

        assert cli.json("rate")[0]["done_at"] is None
        for command in (("rate",), ("coverage",), ("report",), ("recover", "mine")):
            assert "end unknown" in " ".join(cli.ok(*command).split()).lower(), command

    def test_recover_and_rate_expect_the_same_end(self, cli: Cli, scenario: Scenario) -> None:
        collect(scenario, targeted_fetch_rate_hint="0.001/hour")

        assert "2 pending, about 83 d 8 h, done in 83 d" in cli.ok("recover", "mine")
        assert timedelta(days=83) < self.left(cli) < timedelta(days=84)

    def left(self, cli: Cli) -> timedelta:
        """How long it will take until all of it is here."""
        return datetime.fromisoformat(cli.json("rate")[0]["done_at"]) - datetime.now(UTC)


class TestWho:
    """The resolver of a gap."""

    @pytest.mark.parametrize(
        ("arrange", "reason", "who", "acts"),
        [
            (due, "timed_out", "time", "the fleet"),
            (not_installed, "timed_out", "owner", "you: install the connector"),
            (unknown_layout, "template_unknown", "upgrade", "version above 1.0.0"),
            (newer_version_that_does_not_retry, "template_unknown", "owner", "you: run --full"),
            (given_up, "timed_out", "owner", "you: recover"),
            (sign_in_expired, "credentials_expired", "owner", "you: sign in"),
            (paused, "timed_out", "owner", "you: resume"),
        ],
    )
    def test_it_is_named(
        self, cli: Cli, scenario: Scenario, arrange: Callable[[Scenario], None], reason: str, who: str, acts: str
    ) -> None:
        arrange(scenario)

        [gap, *_] = [one for one in cli.json_lines("gaps", "mine") if one["reason"] == reason]

        assert (gap["who_mends"], gap["who_acts"]) == (who, acts)

    def test_a_paused_connection_says_how_it_goes_on(self, cli: Cli, scenario: Scenario) -> None:
        paused(scenario)

        assert "pdpp-worker connection resume mine" in cli.json("coverage")[0]["next"]


def commands(group: TyperGroup, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its words."""
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if isinstance(command, TyperGroup):
            yield from commands(command, words)
        else:
            yield words, command


def test_every_command_that_prints_json_is_compared_or_says_nothing_of_it() -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)

    found = {name for name, one in commands(program) if any("--json" in option.opts for option in one.params)}

    assert found == {*VIEWS, *SILENT}
