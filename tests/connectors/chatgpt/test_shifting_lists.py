"""Lists that shift between two pages of one walk: items arrive, move, leave, and come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.chatgpt.practice.options import Change
from connectors.chatgpt.practice.process import ProviderProcess

from .conftest import TREES, Holder, assert_whole, online, skips
from .test_lying_provider import deletions

Provide = Callable[..., ProviderProcess]
SHIFTS = {
    "arrive": Change(new=6),
    "move": Change(updates=8),
    "leave": Change(deleted=8),
    "hide": Change(hidden=8),
    "all": Change(updates=4, new=4, deleted=4, hidden=4),
}


@pytest.mark.parametrize("kind", SHIFTS)
def test_what_shifts_between_two_pages_is_held_and_nothing_live_is_deleted(provide: Provide, kind: str) -> None:
    provider = provide(60, faults={"list_page": 20})
    provider.shift(SHIFTS[kind], after_pages=1)
    provider.shift(Change(seed=1), after_pages=2)
    holder = Holder(online(provider))

    said = holder.run(TREES)
    said += holder.run(TREES)

    live = {one.conversation_id for one in provider.account().expected()}
    assert len(provider.account().changes) == 2
    assert_whole(holder, provider.account())
    assert live.isdisjoint(deletions(said))


@pytest.mark.parametrize("kind", SHIFTS)
def test_what_shifts_while_news_are_read_is_held(provide: Provide, kind: str) -> None:
    provider = provide(60, faults={"list_page": 20})
    holder = Holder(online(provider))
    holder.run(TREES)
    provider.advance(Change(updates=30, seed=3))
    provider.shift(SHIFTS[kind], after_pages=1)
    provider.shift(Change(seed=1), after_pages=2)

    holder.run(TREES)
    said = holder.run(TREES)

    assert_whole(holder, provider.account())
    assert skips(said) == {}
