"""Several conversations with one request: the same account, fewer requests, and nothing lost when it does not work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import FaultOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import Budget, Context, DetailGapRecovered

from .conftest import TREES, Holder, assert_whole, expected, gaps, online, skips, to_close

Provide = Callable[..., ProviderProcess]


def batched(provider: ProviderProcess) -> Context:
    given = online(provider)
    return replace(given, settings={**given.settings, "batch": True})


def kinds(provider: ProviderProcess, since: int = 0) -> list[str]:
    return [one.kind for one in provider.log(since)]


def test_ten_conversations_are_read_with_one_request(provide: Provide) -> None:
    provider = provide(45)
    plain, holder = Holder(online(provider)), Holder(batched(provider))
    plain.run(TREES)
    before = provider.stats().requests

    holder.run(TREES)

    omitted = [one.id for one in expected(provider) if not one.in_batches]
    asked = kinds(provider, before)
    assert asked.count("batch") == 8
    assert asked.count("detail") == len(omitted)
    assert holder.held("messages") == plain.held("messages")
    assert holder.held("conversations") == plain.held("conversations")


def test_a_later_run_asks_for_what_is_new_only(provide: Provide) -> None:
    provider = provide(30)
    holder = Holder(batched(provider))
    holder.run(TREES)
    before = provider.stats().requests

    holder.run(TREES)

    assert {"batch", "detail"}.isdisjoint(kinds(provider, before))


@pytest.mark.parametrize("status", [404, 500, 429, 422])
def test_a_batch_that_fails_is_the_last_one(provide: Provide, status: int) -> None:
    provider = provide(25, faults={"status_by_kind": {"batch": status}})
    holder = Holder(batched(provider))

    said = holder.run(TREES)

    assert kinds(provider).count("batch") == 1
    assert_whole(holder, expected(provider))
    assert skips(said) == {}


def test_a_lock_on_the_door_stops_batches_too(provide: Provide) -> None:
    provider = provide(12, faults={"status_by_kind": {"batch": 401}})

    said = Holder(batched(provider)).run(TREES)

    assert {one.reason for one in skips(said).values()} == {"credentials_expired"}
    assert kinds(provider) == ["list", "batch"]


def test_a_walk_cut_in_the_middle_of_a_batch_loses_nothing(provide: Provide) -> None:
    provider = provide(30)
    holder = Holder(batched(provider))
    while len(holder.run(TREES, cut=300)) == 300:
        pass

    assert_whole(holder, expected(provider))


def test_a_batch_stays_within_the_budget(provide: Provide) -> None:
    holder = Holder(batched(provide(30)))

    said = holder.run(TREES, budget=Budget(items=4))

    assert len(holder.held("conversations")) == 4
    assert skips(said)["conversations"].reason == "run_budget_deferred"


def test_recovery_asks_for_the_missing_ones_together(provide: Provide) -> None:
    account = Account(7, 20)
    failing = [one.id for one in account if one.in_batches][:12]
    provider = provide(20, faults={"status_by_id": dict.fromkeys(failing[:4] + failing[6:], 503)})
    holder = Holder(online(provider))
    missing = to_close(gaps(holder.run(TREES)))
    provider.set_faults(FaultOptions())
    before = provider.stats().requests
    holder.context = batched(provider)

    said = holder.run(TREES, gaps=missing, recovery_only=True)

    assert set(kinds(provider, before)) == {"batch"}
    assert sum(isinstance(one, DetailGapRecovered) for one in said) == len(missing)


def test_a_conversation_that_alone_is_refused_is_a_gap_and_the_walk_goes_on(provide: Provide) -> None:
    account = Account(7, 12)
    refused = next(iter(account.page(4, 1))).id
    provider = provide(12, faults={"status_by_id": {refused: 403}})
    holder = Holder(online(provider))

    said = holder.run(TREES)

    assert [(one.record_key, one.reason) for one in gaps(said)] == [(refused, "upstream_error")]
    assert_whole(holder, account, besides=[refused])
    assert skips(said) == {}
