"""A connector says what its source consists of; what it said last of a part stands."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from pdpp_worker.connector import (
    AuthExpired,
    Context,
    DetailGap,
    Inventory,
    Message,
    Reason,
    SourceAccount,
    SourceMember,
    Start,
    skip,
)
from pdpp_worker.owner import removal
from pdpp_worker.owner.lookup import find
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.runtime.pending import MOST_PARTS
from tests.support.backlog import TARGETED
from tests.support.scripted import Scenario, manifest, record, state

CHATS = SourceMember(kind="member", name="chats.json", disposition="collected", streams=["items"], count=1, bytes=123)
TODOS = SourceMember(kind="files", name="todos/*.json", disposition="unknown", count=12, bytes=48_000)
CLOSED = SourceMember(kind="list", name="archived", disposition="declared", reason="the owner's setting is off")


def inventory(part: str, *members: SourceMember) -> Inventory:
    """All members of a part."""
    return Inventory(part=part, members=list(members))


def known(scenario: Scenario) -> dict[str, list[str]]:
    """Part to the names of its members."""
    found: dict[str, list[str]] = {}
    for row in scenario.rows("SELECT part, name FROM source_members ORDER BY part, position"):
        found.setdefault(row["part"], []).append(row["name"])
    return found


def walk(scenario: Scenario, *messages: Message) -> dict[str, Any]:
    scenario.send(record("a"), *messages, state(1))
    return scenario.run()


def test_members_are_kept_with_all_that_was_said_of_them(scenario: Scenario) -> None:
    run = walk(scenario, inventory("archive", CHATS, TODOS, CLOSED))

    rows = scenario.rows("SELECT * FROM source_members ORDER BY position")
    kept = [SourceMember.model_validate({name: row[name] for name in SourceMember.model_fields}) for row in rows]
    assert kept == [CHATS, TODOS, CLOSED]
    assert {(row["part"], row["version"], row["run_id"]) for row in rows} == {("archive", "1.0.0", run["id"])}


def test_a_part_that_is_named_again_loses_the_members_that_are_gone(scenario: Scenario) -> None:
    walk(scenario, inventory("archive", CHATS, TODOS), inventory("network", CLOSED))

    walk(scenario, inventory("archive", CHATS), inventory("network", CLOSED))

    assert known(scenario) == {"archive": ["chats.json"], "network": ["archived"]}


def test_a_walk_that_names_no_member_says_nothing_of_other_parts(scenario: Scenario) -> None:
    walk(scenario, inventory("archive", CHATS))

    walk(scenario, inventory("network"))

    assert known(scenario) == {"archive": ["chats.json"]}


def test_the_last_word_of_a_walk_about_a_part_counts(scenario: Scenario) -> None:
    walk(scenario, inventory("archive", TODOS), inventory("archive", CHATS))

    assert known(scenario) == {"archive": ["chats.json"]}


def test_a_part_that_a_whole_walk_does_not_name_any_more_is_gone(scenario: Scenario) -> None:
    walk(scenario, inventory("archive", CHATS), inventory("network", CLOSED))

    walk(scenario, inventory("network", CLOSED))

    assert known(scenario) == {"network": ["archived"]}


def test_a_walk_that_names_nothing_takes_nothing_back(scenario: Scenario) -> None:
    """An older version beside a newer one says nothing, and may not make it forget."""
    walk(scenario, inventory("archive", TODOS))

    walk(scenario)

    assert known(scenario) == {"archive": ["todos/*.json"]}


def test_a_walk_that_failed_in_part_takes_no_other_part_back(scenario: Scenario) -> None:
    walk(scenario, inventory("archive", TODOS), inventory("network", CLOSED))

    walk(scenario, inventory("network", CLOSED), skip("items", Reason.UPSTREAM_ERROR, WHOLE_STREAM))

    assert set(known(scenario)) == {"archive", "network"}


def test_a_recovery_says_nothing_of_the_source(scenario: Scenario, no_haste: None) -> None:
    scenario.manifest = manifest(recovery=TARGETED)
    walk(scenario, inventory("archive", CHATS), DetailGap(stream="items", record_key="m", reason="timed_out"))
    scenario.elapse()

    scenario.recover_with(inventory("archive", TODOS), record("m"))
    run = scenario.run()

    assert (run["error"], known(scenario)) == (None, {"archive": ["chats.json"]})


def test_what_is_said_of_another_account_is_not_kept(scenario: Scenario) -> None:
    scenario.send(SourceAccount(identity="U1"), record("a"), inventory("archive", CHATS), state(1))
    scenario.run()

    scenario.send(SourceAccount(identity="U2"), inventory("archive", TODOS), state(2))
    scenario.run()

    assert known(scenario) == {"archive": ["chats.json"]}


def test_what_was_said_before_a_failure_stands(scenario: Scenario) -> None:
    def failing(_: Start, __: Context) -> Any:
        yield inventory("archive", CHATS)
        raise AuthExpired("401")

    scenario.install(failing)
    scenario.run()

    assert known(scenario) == {"archive": ["chats.json"]}


def test_a_name_that_no_database_holds_costs_its_odd_characters_alone(scenario: Scenario) -> None:
    odd = SourceMember(kind="file", name="a\udcff\x00b", disposition="unknown")

    run = walk(scenario, inventory("archive", odd))

    assert (run["status"], known(scenario)) == ("succeeded", {"archive": ["a\ufffd\ufffdb"]})


def test_a_stream_that_the_manifest_does_not_have_breaks_a_rule(scenario: Scenario) -> None:
    run = walk(scenario, inventory("archive", CHATS.model_copy(update={"streams": ["nothing"]})))

    assert "INVENTORY names stream 'nothing', which the manifest does not have" in run["error"]


@pytest.mark.parametrize(("parts", "fits"), [(MOST_PARTS, True), (MOST_PARTS + 1, False)])
def test_a_source_has_a_bounded_number_of_parts(scenario: Scenario, parts: int, fits: bool) -> None:
    run = walk(scenario, *(inventory(f"part {number}", CHATS) for number in range(parts)))

    assert (run["error"] is None) is fits


def test_a_secret_in_a_name_is_masked(scenario: Scenario) -> None:
    def telling(_: Start, context: Context) -> Any:
        secret = context.secret("token").get_secret_value()
        yield inventory("archive", TODOS.model_copy(update={"name": f"{secret}.json"}))
        yield state(1)

    scenario.execute('UPDATE connections SET credentials = \'{"token": "env:PATH"}\'')
    scenario.install(telling, manifest(credentials={"token": {"title": "Token"}}))
    scenario.run()

    [[name]] = known(scenario).values()
    assert name == "[secret].json"


def test_the_removal_of_a_connection_removes_its_inventory(scenario: Scenario, redis: Redis) -> None:
    walk(scenario, inventory("archive", CHATS))

    with scenario.db.begin() as connection:
        row = find(connection, "mine")
    removal.remove_rows(scenario.db, row)

    assert known(scenario) == {}
