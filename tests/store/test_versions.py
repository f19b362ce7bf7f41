"""Which version of a record stands."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.versions import (
    NEW,
    OTHER,
    SAME,
    Content,
    StoredVersion,
    apply_rows,
    as_stored,
    is_change,
    merge,
    news,
)
from tests.support.desk import row

versions = st.none() | st.integers(-2, 5).map(float)
documents = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.sampled_from(["\x00", "\ud800"]), max_size=3)
rows = st.builds(row, st.just("key"), documents, version=versions, deleted=st.booleans(), partial=st.booleans())
stored = rows.map(as_stored)


@given(rows)
def test_what_was_never_held_is_news(new: RecordRow) -> None:
    assert is_change(new, None)


@given(rows)
def test_what_is_held_already_is_no_news(new: RecordRow) -> None:
    assert not is_change(new, as_stored(new))


@given(rows, stored)
def test_an_older_version_is_never_news(new: RecordRow, held: StoredVersion) -> None:
    if new.version is not None and held.version is not None and new.version < held.version:
        assert not is_change(new, held)


@given(rows, stored)
def test_a_newer_or_unordered_version_is_news_when_it_says_something_else(new: RecordRow, held: StoredVersion) -> None:
    ordered = new.version is not None and held.version is not None
    if ordered and new.version < held.version:  # type: ignore[operator]
        return

    if new.deleted:
        assert is_change(new, held) == (not held.deleted)
    elif held.deleted or new.digest != held.digest:
        assert is_change(new, held)


@given(documents, versions)
def test_a_whole_record_completes_a_partial_one(data: dict[str, Any], version: float | None) -> None:
    whole, part = row("key", data, version=version), row("key", data, version=version, partial=True)

    assert is_change(whole, as_stored(part))
    assert not is_change(part, as_stored(whole))


@given(documents, documents, st.booleans())
@settings(deadline=None)
def test_a_merge_lays_the_new_fields_over_the_held_ones(
    held: dict[str, Any], new: dict[str, Any], held_partial: bool
) -> None:
    merged = merge(row("key", new, partial=True), Content(held, held_partial))

    assert json.loads(merged.raw or merged.text) == {**held, **new}
    assert merged.partial == held_partial
    assert merged.digest == row("key", {**held, **new}).digest


@given(st.lists(st.tuples(st.sampled_from("kl"), rows), max_size=8))
def test_a_batch_counts_each_of_its_rows_once(sent: list[tuple[str, RecordRow]]) -> None:
    played = apply_rows(list(enumerate(one._replace(key=key) for key, one in sent)), {}, {})

    assert played.changed.keys() == {key for key, _ in sent}
    assert len(played.changed) <= played.flushed <= len(sent)


def standing_of(one: RecordRow, held: RecordRow) -> str:
    """The standing of a row's key, where the table holds this record."""
    if one.key != held.key:
        return NEW
    return OTHER if held.deleted or held.partial or one.digest != held.digest else SAME


def test_what_is_passed_over_would_have_changed_nothing() -> None:
    flags = product(({}, {"a": 1}), (False, True), (False, True))
    few = [row("k", data, deleted=deleted, partial=partial) for data, deleted, partial in flags]
    others = [one._replace(key="l") for one in few]

    for before, first, second in product(few, few, few + others):
        held, contents = {"k": as_stored(before)}, {"k": Content(json.loads(before.text), before.partial)}
        sent = [first, second]
        found = "".join(standing_of(one, before) for one in sent)

        assert apply_rows(news(sent, found), held, contents) == apply_rows(list(enumerate(sent)), held, contents)
