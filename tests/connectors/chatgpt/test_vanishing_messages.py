"""Messages that vanish from a tree, a tree that is really emptied, and trees of which a part is missing."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.chatgpt.told_trees import ToldTrees
from pdpp_worker.connector import Message, Record
from pdpp_worker.stored_files.file_store import FileStore
from tests.support.connectors import start

from .conftest import TREES, Holder, gaps, skips
from .test_lying_provider import T0, account, detail, item

EMPTY: dict[str, Any] = {"mapping": {}, "current_node": None}


def run(holder: Holder, number: int) -> list[Message]:
    """One run; deletions are believed by two runs, so each has a name of its own."""
    return holder.send(start(TREES, holder.state).model_copy(update={"run_id": f"run-{number}"}))


def absent(said: list[Message]) -> list[Any]:
    return [one.key for one in said if isinstance(one, Record) and one.op == "delete"]


def reader(nodes: int = 3) -> Holder:
    holder = Holder(account([item("a")], {"a": detail("a", nodes=nodes)}))
    run(holder, 1)
    return holder


def test_a_conversation_that_is_really_emptied_keeps_no_message_as_current() -> None:
    holder = reader()
    holder.context = account([item("a", T0 + 9)], {"a": detail("a", T0 + 9, **EMPTY)})

    said = [absent(run(holder, number)) for number in (2, 3, 4)]

    assert said == [[["a", f"a-{n}"] for n in range(3)]] * 2 + [[]]
    assert holder.held("messages") == {}
    assert holder.held("conversations")["a"]["message_count_on_current_branch"] == 0
    assert gaps(holder.sent) == []


def test_a_message_that_is_no_longer_in_a_whole_tree_is_absent_by_two_runs() -> None:
    holder = reader(nodes=4)
    holder.context = account([item("a", T0 + 9)], {"a": detail("a", T0 + 9, nodes=3)})

    said = [absent(run(holder, number)) for number in (2, 3, 4)]

    assert said == [[["a", "a-3"]], [["a", "a-3"]], []]


def test_a_message_that_is_back_in_the_next_walk_stays() -> None:
    holder = reader(nodes=4)
    holder.context = account([item("a", T0 + 9)], {"a": detail("a", T0 + 9, nodes=3)})
    run(holder, 2)
    holder.context = account([item("a", T0 + 9)], {"a": detail("a", T0 + 9, nodes=4)})

    said = [absent(run(holder, number)) for number in (3, 4)]

    assert said == [[], []]
    assert len(holder.held("messages")) == 4


def test_nothing_is_absent_from_a_tree_of_which_a_part_is_missing() -> None:
    holder = reader(nodes=4)
    broken = detail("a", T0 + 9, nodes=4)
    del broken["mapping"]["a-1"]
    holder.context = account([item("a", T0 + 9)], {"a": broken})

    said = run(holder, 2)

    assert absent(said) == []
    assert [one.record_key for one in gaps(said)] == ["a"]


@pytest.mark.parametrize("missing", ["a-0", "a-1", "a-3"])
def test_a_tree_that_lacks_a_node_that_another_names_is_a_gap(missing: str) -> None:
    broken = detail("a", nodes=4)
    broken["mapping"]["root"] = {"parent": None, "children": ["a-0"], "message": None}
    broken["mapping"]["a-0"]["parent"] = "root"
    del broken["mapping"][missing]

    assert [one.record_key for one in gaps(run(Holder(account([item("a")], {"a": broken})), 1))] == ["a"]


def test_a_tree_that_begins_in_the_middle_is_read_again_until_two_walks_agree() -> None:
    whole, holder = detail("a", nodes=4), Holder(account([item("a")], {"a": detail("a", nodes=4)}))
    headless = {**whole, "mapping": {name: node for name, node in whole["mapping"].items() if name > "a-1"}}
    holder.context = account([item("a")], {"a": headless})
    run(holder, 1)
    holder.context = account([item("a")], {"a": whole})

    run(holder, 2)

    assert len(holder.held("messages")) == 4
    assert skips(holder.sent) == {}


def test_a_damaged_note_of_a_tree_is_an_empty_one(tmp_path: Any) -> None:
    trees = ToldTrees(FileStore(tmp_path), "run-1")
    trees.compare("a", ["n1"])
    (note,) = tmp_path.rglob("*.json")
    note.write_text("{")

    assert ToldTrees(FileStore(tmp_path), "run-2").compare("a", ["n2"]).vanished == []
