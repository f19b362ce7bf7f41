"""The connector against a provider over sockets: first run, later runs, faults, cuts and recovery by id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.chatgpt.gaps import BACKLOG
from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import Change, FaultOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Budget,
    DetailCoverage,
    DetailGapRecovered,
    GapToClose,
    Progress,
    Record,
    State,
)

from .conftest import ALL, TREES, Holder, assert_whole, expected, gaps, online, skips, to_close

Provide = Callable[..., ProviderProcess]


def in_order_of_lists(account: Account) -> list[str]:
    """The ids as the lists give them: active, archived, of each project, of the team."""
    own = (account.listed(), account.listed(archived=True), account.listed(project=0), account.listed(project=1))
    return [
        one.id
        for listed in (*own, account.listed(team=True), account.listed(team=True, archived=True))
        for one in listed
    ]


def details_asked(provider: ProviderProcess, since: int = 0) -> list[str]:
    return [one.conversation_id or "" for one in provider.log(since) if one.kind == "detail"]


def test_a_first_run_holds_the_whole_account(provide: Provide) -> None:
    provider = provide(130)
    holder = Holder(online(provider))

    holder.run()

    assert_whole(holder, expected(provider))
    assert skips(holder.sent) == {}
    assert set(provider.stats().details_by_id.values()) == {1}
    assert {name: len(holder.held(name)) for name in ALL[3:]} == {
        "memories": 14,
        "projects": 2,
        "custom_gpts": 23,
        "custom_instructions": 1,
        "shared_conversations": 6,
    }


def test_a_second_run_reads_only_what_changed(provide: Provide) -> None:
    provider = provide(130)
    holder = Holder(online(provider))
    holder.run(TREES)
    change = Change(updates=3, new=2)
    moved = provider.advance(change)
    before = provider.stats().requests

    holder.run(TREES)

    assert sorted(details_asked(provider, before)) == sorted([*moved.updated, *moved.new])
    assert sum(one.kind == "list" for one in provider.log(before)) <= 7
    assert_whole(holder, expected(provider, change))


def test_a_run_without_news_asks_for_one_page_of_each_list_and_no_conversation(provide: Provide) -> None:
    provider = provide(130)
    holder = Holder(online(provider))
    holder.run(TREES)
    before = provider.stats().requests

    holder.run(TREES)

    kinds = [one.kind for one in provider.log(before)]
    assert kinds == ["list", "list", "projects", "workspaces", "list", "list", "projects"]


def test_a_cursor_of_the_version_before_is_brought_along_and_archived_conversations_are_read(provide: Provide) -> None:
    provider = provide(40)
    account = expected(provider)
    newest = int(account.listed(archived=False)[0].update_time * 1000)
    position = {"floor": {"time": newest, "ids": [account.listed(archived=False)[0].id]}, "index": 0}
    holder = Holder(online(provider), state={"conversations": {"list": position, "hydrated": True}})

    holder.run(TREES)

    others = in_order_of_lists(account)[len(account.listed()) :]
    assert details_asked(provider) == others
    assert "list" not in holder.state["conversations"]
    holder.run(TREES)
    assert details_asked(provider) == others


def test_awkward_text_passes_unharmed(provide: Provide) -> None:
    holder = Holder(online(provide(12)))
    holder.run(TREES)

    said = "".join(row["content"] or "" for row in holder.held("messages").values())

    assert all(piece in said for piece in ("\x00", "\x85", "\ud83d and", "\u2028", "\U0001f3f3"))
    assert max(len(row["content"] or "") for row in holder.held("messages").values()) > 1_048_576


@pytest.mark.parametrize("step", [1, 7, 40])
def test_a_walk_cut_again_and_again_still_holds_everything(provide: Provide, step: int) -> None:
    provider = provide(30)
    holder = Holder(online(provider))
    cuts = 0
    while len(holder.run(TREES, cut=step * 11 + 60)) == step * 11 + 60:
        cuts += 1
        assert cuts < 500

    assert cuts > 0
    assert_whole(holder, expected(provider))


def test_a_cut_never_loses_the_conversations_before_the_last_state(provide: Provide) -> None:
    provider = provide(10)
    holder = Holder(online(provider))
    said = holder.run(TREES)
    states = [number for number, message in enumerate(said, start=1) if isinstance(message, State)]
    again = Holder(holder.context)
    again.run(TREES, cut=states[4])
    before = provider.stats().requests

    again.run(TREES)

    assert details_asked(provider, before) == in_order_of_lists(expected(provider))[5:]
    assert_whole(again, expected(provider))


def test_an_account_that_changes_during_a_cut_walk_is_held_as_it_then_is(provide: Provide) -> None:
    provider = provide(150)
    holder = Holder(online(provider))
    holder.run(TREES, cut=900)
    changes = [Change(updates=5, new=12, deleted=20)]
    gone = set(provider.advance(changes[0]).deleted)
    holder.run(TREES, cut=700)
    changes.append(Change(updates=9, new=1, deleted=30, seed=1))
    gone |= set(provider.advance(changes[1]).deleted)

    holder.run(TREES)

    assert_whole(holder, expected(provider, *changes))
    assert skips(holder.sent) == {}


def test_each_conversation_is_covered_before_its_place_is_saved(provide: Provide) -> None:
    holder = Holder(online(provide(6)))
    said = [message for message in holder.run(TREES) if isinstance(message, State | DetailCoverage | Record)]

    kinds = [type(message).__name__ for message in said if not isinstance(message, Record)]

    assert kinds == [*["DetailCoverage", "State"] * 6, "State"]


def test_progress_counts_towards_the_lists_total(provide: Provide) -> None:
    holder = Holder(online(provide(6)))

    told = [(one.count, one.total) for one in holder.run(TREES) if isinstance(one, Progress)]

    assert told[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert told[-1] == (6, 6)


def test_a_conversation_that_fails_is_a_gap_and_its_row_is_known_from_the_list(provide: Provide) -> None:
    account = Account(7, 12)
    failing = in_order_of_lists(account)[3]
    provider = provide(12, faults={"status_by_id": {failing: 500}})
    holder = Holder(online(provider))

    said = holder.run(TREES)

    (gap,) = gaps(said)
    assert (gap.record_key, gap.reason, gap.retry_after) == (failing, "upstream_error", None)
    assert details_asked(provider).count(failing) == 1
    row = next(one for one in said if isinstance(one, Record) and one.key == failing)
    assert row.partial
    assert "message_count_on_current_branch" not in row.data
    assert None not in row.data.values()
    assert_whole(holder, account, besides=[failing])


def test_a_conversation_gone_between_list_and_reading_is_deleted(provide: Provide) -> None:
    account = Account(7, 12)
    gone = in_order_of_lists(account)[3]
    holder = Holder(online(provide(12, faults={"status_by_id": {gone: 404}})))

    said = holder.run(TREES)

    assert [one.key for one in said if isinstance(one, Record) and one.op == "delete"] == [gone]
    assert gaps(said) == []
    assert_whole(holder, account, besides=[gone])


def test_an_endpoint_that_answers_every_conversation_as_absent_is_not_believed(provide: Provide) -> None:
    provider = provide(12, faults={"status_by_kind": {"detail": 404}})
    holder = Holder(online(provider))

    said = holder.run(TREES)

    assert not any(isinstance(one, Record) and one.op == "delete" for one in said)
    assert len(gaps(said)) == 5
    assert skips(said)["conversations"].reason == "upstream_error"


def test_a_refused_conversation_is_a_gap_that_knows_when_to_come_back(provide: Provide) -> None:
    provider = provide(12, quota=QuotaOptions(model="bucket", rate_per_s=0.01, burst=9, retry_after="seconds"))
    holder = Holder(online(provider))

    said = holder.run(TREES)

    assert [one.reason for one in gaps(said)] == ["rate_limited"] * 3
    assert all(one.retry_after is not None and one.retry_after > datetime.now(UTC) for one in gaps(said))
    assert skips(said) == {}


def test_five_refusals_in_a_row_put_the_rest_off_and_keep_the_place(provide: Provide) -> None:
    provider = provide(30, quota=QuotaOptions(model="bucket", rate_per_s=0.01, burst=10))
    holder = Holder(online(provider))

    said = holder.run(TREES)

    (deferred,) = skips(said).values()
    assert (deferred.stream, deferred.reason) == ("conversations", "upstream_pressure")
    assert isinstance(deferred.scope, BatchScope)
    assert deferred.scope.partition == BACKLOG
    assert len(gaps(said)) == 5

    provider.set_quota(QuotaOptions())
    before = provider.stats().requests
    holder.run(TREES)
    assert details_asked(provider, before) == in_order_of_lists(expected(provider))[15:]


def test_failures_that_are_not_in_a_row_do_not_stop_the_walk(provide: Provide) -> None:
    account = Account(7, 14)
    failing = in_order_of_lists(account)[::2]
    holder = Holder(online(provide(14, faults={"status_by_id": dict.fromkeys(failing, 500)})))

    said = holder.run(TREES)

    assert [one.record_key for one in gaps(said)] == failing
    assert skips(said) == {}
    assert_whole(holder, account, besides=failing)


def test_the_end_of_the_list_closes_what_was_put_off(provide: Provide) -> None:
    holder = Holder(online(provide(8)))
    scope = BatchScope(partition={**BACKLOG})
    backlog = GapToClose(gap_id="9", stream="conversations", scope=scope, reason="upstream_pressure")

    said = holder.run(TREES, gaps=[backlog])

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["9"]


def test_recovery_reads_exactly_the_missing_conversations(provide: Provide) -> None:
    account = Account(7, 12)
    failing = in_order_of_lists(account)[2:5]
    provider = provide(12, faults={"status_by_id": dict.fromkeys(failing, 503)})
    holder = Holder(online(provider))
    missing = to_close(gaps(holder.run(TREES)))
    provider.set_faults(FaultOptions())
    before, state = provider.stats().requests, dict(holder.state)

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert [one.kind for one in provider.log(before)] == ["detail"] * 3
    assert details_asked(provider, before) == failing
    assert {one.gap_id for one in said if isinstance(one, DetailGapRecovered)} == {"1", "2", "3"}
    assert holder.state == state
    assert_whole(holder, account)


def test_recovery_stays_within_its_budget(provide: Provide) -> None:
    account = Account(7, 12)
    failing = in_order_of_lists(account)[:4]
    provider = provide(12, faults={"status_by_id": dict.fromkeys(failing, 503)})
    holder = Holder(online(provider))
    missing = to_close(gaps(holder.run(TREES)))
    provider.set_faults(FaultOptions())

    said = holder.run(TREES, gaps=missing, recovery_only=True, budget=Budget(items=2))

    assert sum(isinstance(one, DetailGapRecovered) for one in said) == 2


def test_recovery_says_which_gaps_stay_and_which_are_absent(provide: Provide) -> None:
    account = Account(7, 12)
    failing, gone = in_order_of_lists(account)[:2]
    provider = provide(12, faults={"status_by_id": {failing: 503, gone: 503}})
    holder = Holder(online(provider))
    missing = to_close(gaps(holder.run(TREES)))
    provider.set_faults(FaultOptions(status_by_id={failing: 503, gone: 404}))

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert [(one.record_key, one.gap_id) for one in gaps(said)] == [(failing, "1")]
    assert [(one.gap_id, one.absent) for one in said if isinstance(one, DetailGapRecovered)] == [("2", True)]


def test_a_budget_puts_off_the_rest_without_blaming_the_platform(provide: Provide) -> None:
    holder = Holder(online(provide(12)))

    said = holder.run(TREES, budget=Budget(items=5))

    assert skips(said)["conversations"].reason == "run_budget_deferred"
    assert len(holder.held("conversations")) == 5


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"status_by_kind": {"list": 500}}, "upstream_error"),
        ({"status_by_kind": {"list": 404}}, "upstream_error"),
        ({"status_by_kind": {"list": 429}}, "rate_limited"),
        ({"maintenance_share": 1.0}, "upstream_error"),
        ({"cut_share": 1.0}, "network_error"),
    ],
)
def test_a_list_that_fails_is_never_a_success_and_keeps_the_place(
    provide: Provide, faults: dict[str, Any], reason: str
) -> None:
    provider = provide(12)
    holder = Holder(online(provider))
    holder.run(TREES)
    state = dict(holder.state)
    provider.set_faults(FaultOptions(**faults))

    said = holder.run(TREES)

    assert {name: (one.reason, one.scope) for name, one in skips(said).items()} == dict.fromkeys(
        TREES, (reason, WHOLE_STREAM)
    )
    assert holder.state == state


def test_the_newest_conversation_alone_refused_is_a_gap_and_the_others_are_read(provide: Provide) -> None:
    account = Account(7, 12)
    refused = in_order_of_lists(account)[0]
    holder = Holder(online(provide(12, faults={"status_by_id": {refused: 403}})))

    said = holder.run(TREES)

    assert [(one.record_key, one.reason) for one in gaps(said)] == [(refused, "upstream_error")]
    assert skips(said) == {}
    assert_whole(holder, account, besides=[refused])


def test_failures_in_a_row_of_which_one_is_a_refusal_do_not_ask_the_owner_to_sign_in(provide: Provide) -> None:
    failing = dict(zip(in_order_of_lists(Account(7, 12)), [500, 500, 500, 500, 403], strict=False))
    holder = Holder(online(provide(12, faults={"status_by_id": failing})))

    assert {one.reason for one in skips(holder.run(TREES)).values()} == {"upstream_error"}


def test_an_account_that_may_read_no_conversation_is_told_so_after_a_few(provide: Provide) -> None:
    provider = provide(12, faults={"status_by_kind": {"detail": 403}})

    said = Holder(online(provider)).run(TREES)

    assert {one.reason for one in skips(said).values()} == {"credentials_expired"}
    assert len(gaps(said)) == 2
    assert len(details_asked(provider)) == 3


@pytest.mark.parametrize("faults", [{"challenge_share": 1.0}, {"token_requests": 0}, {"status_by_kind": {"list": 403}}])
def test_a_lock_on_the_door_stops_every_request(provide: Provide, faults: dict[str, Any]) -> None:
    provider = provide(12, faults=faults)
    holder = Holder(online(provider))

    said = holder.run(TREES)

    reason = "challenged" if "challenge_share" in faults else "credentials_expired"
    assert {name: one.reason for name, one in skips(said).items()} == dict.fromkeys(TREES, reason)
    assert provider.stats().requests == 1


def test_a_token_that_expires_on_the_way_keeps_what_was_read(provide: Provide) -> None:
    provider = provide(12, faults={"token_requests": 9})
    holder = Holder(online(provider))

    said = holder.run(TREES)

    assert {one.reason for one in skips(said).values()} == {"credentials_expired"}
    assert gaps(said) == []
    provider.set_faults(FaultOptions())
    holder.run(TREES)
    assert_whole(holder, expected(provider))
    assert set(provider.stats().details_by_id.values()) == {1, 2}


def test_without_a_token_nothing_is_asked(provide: Provide) -> None:
    provider = provide(3)
    holder = Holder(online(provider, device_id="some-device"))

    said = holder.run()

    assert {one.stream: one.reason for one in skips(said).values()} == dict.fromkeys(ALL, "credentials_expired")
    assert provider.stats().requests == 0


def test_scattered_faults_lose_nothing_that_recovery_does_not_bring(provide: Provide) -> None:
    provider = provide(60, faults={"error_share": 0.2, "cut_share": 0.1, "maintenance_share": 0.1})
    holder = Holder(online(provider))
    for _ in range(20):
        said = holder.run(TREES)
        if not skips(said):
            break
    missing = to_close(gaps(holder.sent))
    provider.set_faults(FaultOptions())

    holder.run(TREES, gaps=missing)

    assert_whole(holder, expected(provider))
    assert skips(holder.run(TREES)) == {}
