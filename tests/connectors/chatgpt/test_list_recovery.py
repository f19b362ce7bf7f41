"""A gap about a part of the lists closes in a recovery only by a walk that goes down to the list's end."""

from __future__ import annotations

from typing import Any

from pdpp_worker.connector import BatchScope, Context, DetailGapRecovered, GapToClose, Record, State

from .conftest import TREES, Holder, skips
from .test_lying_provider import T0, account, detail, item

KEYS = ("a", "b", "c")
PART = GapToClose(
    gap_id="1", stream="conversations", scope=BatchScope(partition={"list": "active"}), reason="upstream_error"
)


def listing(*keys: str, total: int | None = None) -> Context:
    """A platform whose list names these conversations and counts `total` of them."""
    active = {"items": [item(key) for key in keys], "total": len(keys) if total is None else total}
    archived: dict[str, Any] = {"items": [], "total": 0}

    def answer(request: Any) -> dict[str, Any]:
        return archived if request.url.params.get("is_archived") == "true" else active

    return account([], {key: detail(key) for key in keys}, **{"/conversations": answer})


def test_a_list_that_is_whole_again_closes_the_gap_and_brings_its_items_without_a_cursor() -> None:
    holder = Holder(listing("a", total=3))
    assert skips(holder.run(TREES))["conversations"].scope == PART.scope
    holder.context = listing(*KEYS)

    said = holder.run(TREES, gaps=[PART], recovery_only=True)

    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered)] == ["1"]
    assert holder.held("conversations").keys() == set(KEYS)
    assert not any(isinstance(one, State) for one in said)


def test_a_list_that_contradicts_itself_still_keeps_the_gap_open() -> None:
    holder = Holder(listing("a", total=3))
    holder.run(TREES)

    said = holder.run(TREES, gaps=[PART], recovery_only=True)

    assert not any(isinstance(one, DetailGapRecovered) for one in said)


def test_a_look_at_the_first_page_alone_is_no_proof() -> None:
    holder = Holder(listing(*KEYS))
    holder.run(TREES)
    first, rest = [item(key) for key in KEYS[:2]], [item(key) for key in KEYS[1:]]
    pages = {"0": {"items": first, "total": 3}, "1": {"items": rest, "total": 3}}
    asked: list[str] = []

    def answer(request: Any) -> dict[str, Any]:
        if request.url.params.get("is_archived") == "true":
            return {"items": [], "total": 0}
        asked.append(request.url.params.get("offset", "0"))
        return pages[asked[-1]]

    holder.context = account([], {}, **{"/conversations": answer})

    holder.run(TREES, gaps=[PART], recovery_only=True)

    assert asked[:2] == ["0", "1"]


def test_the_list_of_another_account_closes_nothing() -> None:
    holder = Holder(listing(*KEYS))
    holder.run(TREES)
    holder.context = account([item("z", T0 + 9)], {"z": detail("z", T0 + 9)})

    said = holder.run(TREES, gaps=[PART], recovery_only=True)

    assert {one.reason for one in skips(said).values()} == {"another_account"}
    assert not any(isinstance(one, Record | DetailGapRecovered) for one in said)
