"""An app that Slack holds to 15 messages a page and one request a minute works to the end, slice by slice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pdpp_worker.connector import BatchScope, GapToClose, SkipResult
from tests.connectors.slack import provider
from tests.connectors.slack.account import Obj, said, stamp, thread
from tests.connectors.slack.conftest import Holder, gaps, recovered
from tests.connectors.slack.provider import Slack

MESSAGES = [said(stamp(at)) for at in range(70)]


@pytest.fixture(autouse=True)
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 15."""
    monkeypatch.setattr(provider, "PAGE", 15)


def allowing(requests: int) -> Callable[[Obj], Obj | int | None]:
    """So many answers, then refusals for the rate."""
    left = [requests]

    def answer(_: Obj) -> int | None:
        left[0] -= 1
        return None if left[0] >= 0 else 429

    return answer


def a_gap(told: SkipResult | None = None, **partition: str) -> GapToClose:
    """A gap as START hands it over, numbered 7."""
    scope = BatchScope(partition=dict(partition)) if told is None else told.scope
    locator = None if told is None else told.detail
    assert scope is not None
    return GapToClose(gap_id="7", stream="messages", scope=scope, reason="rate_limited", detail_locator=locator)


def recover_to_the_end(holder: Holder, known: GapToClose) -> int:
    """Recovery runs until no gap is left; returns how many it took."""
    due, runs = [known], 0
    while due:
        runs += 1
        sent = holder.run(gaps=[due[0]], recovery_only=True)
        assert recovered(sent) == ["7"], "each run reads on"
        due = due[1:] + [a_gap(one) for one in sent if isinstance(one, SkipResult)]
    return runs


def test_a_walk_comes_to_its_end_with_one_answer_of_each_kind_a_slice(slack: Slack, holder: Holder) -> None:
    slack.add("C1", [*MESSAGES, *thread(stamp(100), *(stamp(101 + at) for at in range(40)))])

    for at in range(60):
        sent = holder.run(same=at > 0, cut=40)

    assert len(holder.held("messages")) == 70 + 41
    assert gaps(sent) == {}


def test_a_conversation_is_recovered_page_by_page(slack: Slack, holder: Holder) -> None:
    slack.add("C1", list(MESSAGES))

    runs = recover_to_the_end(holder, a_gap(channel_id="C1"))

    assert (len(holder.held("messages")), runs) == (70, 5)


def test_threads_of_a_conversation_are_left_to_gaps_of_their_own(slack: Slack, holder: Holder) -> None:
    talk = thread(stamp(100), *(stamp(101 + at) for at in range(40)))
    slack.add("C1", [*MESSAGES, *talk])

    recover_to_the_end(holder, a_gap(channel_id="C1"))

    assert len(holder.held("messages")) == 70 + 41


def test_what_was_read_before_a_refusal_is_not_asked_for_again(
    slack: Slack, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "PAGE", 20)
    slack.add("C1", list(MESSAGES))
    slack.faults["conversations.history"] = allowing(2)

    sent = holder.run(gaps=[a_gap(channel_id="C1")], recovery_only=True)

    assert len(holder.held("messages")) == 40
    (rest,) = (one for one in sent if isinstance(one, SkipResult))
    assert (rest.reason, recovered(sent)) == ("rate_limited", ["7"])
    slack.faults.clear()
    slack.asked.clear()
    holder.run(gaps=[a_gap(rest)], recovery_only=True)
    assert len(holder.held("messages")) == 70
    assert slack.called("conversations.history") == 2
