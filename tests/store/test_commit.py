"""A batch is written whole or not at all."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from pdpp_worker.store import events
from pdpp_worker.store.batch import Batch, Rejection
from pdpp_worker.store.effects import KeyFetched
from pdpp_worker.store.records import Written
from tests.store.test_leases import full_batch, written
from tests.support.desk import Desk, missed, row
from tests.support.waiting import PATIENCE_S, until


def test_all_of_a_batch_is_written_together(desk: Desk) -> None:
    done = desk.commit(full_batch())

    assert (done.written, done.gaps_opened, done.gaps_closed, done.cancel_requested) == (
        {"items": Written(1, 0)},
        1,
        0,
        False,
    )
    assert desk.one("SELECT cursor, run_id FROM checkpoints WHERE connection_id = :c") == {
        "cursor": '{"at":1}',
        "run_id": desk.run_id,
    }
    books = desk.one("SELECT * FROM run_streams WHERE run_id = :run", run=desk.run_id)
    assert (books["records_emitted"], books["records_flushed"], books["records_rejected"]) == (2, 1, 1)


def test_the_events_of_a_batch_tell_what_it_did(desk: Desk) -> None:
    desk.miss(missed("known"))
    batch = full_batch()
    batch.effects.append(KeyFetched("items", "known"))

    desk.commit(batch)

    told = desk.rows("SELECT type, stream, data FROM events WHERE connection_id = :c AND stream = 'items' ORDER BY id")
    assert [(one["type"], one["data"]) for one in told] == [
        ("stream_skipped", {}),
        ("gaps_opened", {"reason": "rate_limited", "count": 1}),
        ("gaps_closed", {"count": 1}),
        ("checkpoint_committed", {"bytes": 8}),
    ]


def spoiled(part: str) -> Batch:
    """A batch in which one part cannot be written."""
    batch = full_batch()
    if part == "record":
        good = row("x")
        batch.records["items"].append(good._replace(text=b"{"))
    if part == "rejection":
        batch.rejections[0] = batch.rejections[0].__class__(None, "b", "no stream", b"")  # type: ignore[arg-type]
    if part == "gap":
        batch.effects.append(missed("d", kind="permanent_structural"))
    if part == "checkpoint":
        batch.checkpoints["others"] = None  # type: ignore[assignment]
    if part == "books":
        batch.tally("items").state_committed = True
    if part == "event":
        batch.events.append((None, "items", {}))  # type: ignore[arg-type]
    return batch


@pytest.mark.parametrize("part", ["record", "rejection", "gap", "checkpoint", "books", "event"])
def test_one_part_that_cannot_be_written_leaves_nothing_of_the_others(desk: Desk, part: str) -> None:
    before = written(desk)

    with pytest.raises(Exception, match=r"violates|invalid input syntax") as caught:
        desk.commit(spoiled(part))

    assert part == "record" or isinstance(caught.value, IntegrityError)
    assert written(desk) == before


def test_an_error_of_the_database_says_nothing_of_the_content(desk: Desk) -> None:
    batch = Batch(rejections=[Rejection(None, "b", "no stream", b"the owner's own words")])  # type: ignore[arg-type]

    with pytest.raises(Exception, match="violates") as caught:
        desk.commit(batch)

    assert "SQL parameters hidden" in str(caught.value)


def test_a_batch_that_failed_can_be_written_again(desk: Desk) -> None:
    with pytest.raises(DBAPIError):
        desk.commit(spoiled("event"))

    assert desk.commit(full_batch()).written == {"items": Written(1, 0)}


def test_a_backend_that_dies_in_the_middle_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last write of the batch waits while the session behind it is ended from another one."""
    before = written(desk)
    reached, go_on = threading.Event(), threading.Event()
    append = events.append

    def pause(*given: Any) -> None:
        append(*given)
        reached.set()
        assert go_on.wait(PATIENCE_S)

    monkeypatch.setattr(events, "append", pause)
    failures: list[BaseException] = []

    def commit() -> None:
        try:
            desk.commit(full_batch())
        except OperationalError as error:
            failures.append(error)

    worker = threading.Thread(target=commit)
    worker.start()
    assert reached.wait(PATIENCE_S)
    in_transaction = """
        SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE state = 'idle in transaction' AND datname = current_database() AND pid <> pg_backend_pid()
    """
    (victim,) = desk.rows(in_transaction)
    until(lambda: not desk.rows("SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=victim["pid"]))
    go_on.set()
    worker.join(PATIENCE_S)

    assert len(failures) == 1
    assert written(desk) == before
    monkeypatch.undo()
    assert desk.commit(full_batch()).written == {"items": Written(1, 0)}


def test_a_cursor_comes_back_exactly_as_it_was_sent(desk: Desk) -> None:
    cursor = '{"nul":"\\u0000","half":"\\ud800","big":' + "9" * 4000 + ',"order":{"b":1,"a":2}}'

    desk.commit(Batch(checkpoints={"items": cursor}))

    assert desk.one("SELECT cursor FROM checkpoints WHERE connection_id = :c") == {"cursor": cursor}


def test_the_books_add_up_over_batches(desk: Desk) -> None:
    for key in ("a", "b", "a"):
        batch = Batch(records={"items": [row(key)]})
        batch.tally("items").emitted = 1
        batch.tally("items").progress_count = 1
        desk.commit(batch)

    books = desk.one("SELECT * FROM run_streams WHERE run_id = :run", run=desk.run_id)
    assert (books["records_emitted"], books["records_flushed"], books["records_unchanged"]) == (3, 2, 1)
    assert (books["progress_count"], books["progress_total"]) == (1, None)


@pytest.mark.parametrize(("first", "second", "committed"), [(True, False, 0), (False, True, 1), (True, True, 1)])
def test_the_latest_checkpoint_decides_whether_it_counts_as_committed(
    desk: Desk, first: bool, second: bool, committed: int
) -> None:
    for good in (first, second):
        batch = Batch()
        batch.tally("items").state_staged, batch.tally("items").state_committed = True, good
        desk.commit(batch)
    later = Batch()
    later.tally("items")
    desk.commit(later)

    books = desk.one("SELECT * FROM run_streams WHERE run_id = :run", run=desk.run_id)
    assert (books["checkpoints_staged"], books["checkpoints_committed"]) == (1, committed)


def test_only_a_batch_that_changes_something_shows_that_the_run_gets_on(desk: Desk) -> None:
    idle = "SELECT idle_slices FROM runs WHERE connection_id = :c"
    batch = Batch(records={"items": [row("a")]})
    desk.execute("UPDATE runs SET idle_slices = 3 WHERE connection_id = :c")

    desk.commit(batch)
    after_news = desk.one(idle)
    desk.execute("UPDATE runs SET idle_slices = 3 WHERE connection_id = :c")
    desk.commit(batch)
    desk.commit(Batch())

    assert (after_news, desk.one(idle)) == ({"idle_slices": 0}, {"idle_slices": 3})


class TestRejections:
    """One content is kept once, with the run that met it last."""

    def test_the_same_content_again(self, desk: Desk) -> None:
        first, last = (Rejection("items", "a", error, b"{}") for error in ("no field a", "no field b"))
        desk.commit(Batch(rejections=[first]))
        run_id = desk.next_run()
        desk.commit(Batch(rejections=[last, last]))

        kept = desk.rows("SELECT run_id, error FROM rejections WHERE connection_id = :c")
        assert kept == [{"run_id": run_id, "error": "no field b"}]

    def test_another_content_stream_or_key(self, desk: Desk) -> None:
        other = [
            Rejection("items", "a", "wrong", b"{}"),
            Rejection("items", "a", "wrong", b"[]"),
            Rejection("others", "a", "wrong", b"{}"),
            Rejection("items", "b", "wrong", b"{}"),
            Rejection("items", None, "wrong", b"{}"),
        ]

        desk.commit(Batch(rejections=other))
        desk.commit(Batch(rejections=other))

        assert len(desk.rows("SELECT 1 FROM rejections WHERE connection_id = :c")) == 5
