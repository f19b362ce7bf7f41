"""A first load does not look for keys that nobody holds, and a mistake about that costs nothing."""

from __future__ import annotations

import pytest

from pdpp_worker.store import records
from pdpp_worker.store.novelty import WORTHWHILE, Novelty
from pdpp_worker.store.records import Written, write_records
from tests.support.desk import Desk, row


def load(desk: Desk, novelty: Novelty, first: int) -> Written:
    """As many rows as are worth an expectation, the keys of which are numbers from `first` on."""
    rows = [row(str(number), {"n": number}) for number in range(first, first + WORTHWHILE)]
    with desk.db.begin() as connection:
        return write_records(connection, desk.connection_id, desk.run_id, "items", rows, novelty=novelty)


def test_where_all_was_new_so_far_nothing_is_looked_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    novelty = Novelty()
    load(desk, novelty, 0)
    monkeypatch.delattr(records, "standings")

    assert load(desk, novelty, WORTHWHILE) == (WORTHWHILE, 0)
    assert len(desk.held()) == 2 * WORTHWHILE


def test_rows_that_were_wrongly_expected_to_be_new_are_written_as_what_they_are(desk: Desk) -> None:
    novelty = Novelty()
    load(desk, novelty, 0)

    assert load(desk, novelty, WORTHWHILE - 1) == (WORTHWHILE - 1, 1)
    assert len(desk.held()) == 2 * WORTHWHILE - 1


def test_after_one_mistake_the_stream_is_looked_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    novelty = Novelty()
    load(desk, novelty, 0)
    load(desk, novelty, 1)
    monkeypatch.delattr(records, "_add_unseen")

    assert load(desk, novelty, 2 * WORTHWHILE) == (WORTHWHILE, 0)


def test_a_slice_begins_with_a_look(desk: Desk) -> None:
    load(desk, Novelty(), 0)

    assert load(desk, Novelty(), 0) == (0, WORTHWHILE)


def test_of_rows_with_one_key_none_is_expected_to_be_new() -> None:
    novelty = Novelty()
    novelty.learn("items", are_new=True)

    assert not novelty.expects("items", [row("a", {"n": number}) for number in range(WORTHWHILE)])
