"""A large archive is walked in a process of its own, which says the same as the worker's own walk."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.slack import archive_walk
from pdpp_worker.confined import beside
from pdpp_worker.confined.places import Places
from tests.connectors.slack.account import archived, file, said, stamp
from tests.connectors.slack.conftest import Holder

pytestmark = pytest.mark.process  # starts processes itself


@pytest.fixture(autouse=True)
def any_size_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a single message be many."""
    monkeypatch.setattr(beside, "_PLACES", Places(1))
    monkeypatch.setattr(beside, "named", None)  # the worker itself walks none
    monkeypatch.setattr(archive_walk, "WORTH_ROWS", 1)


def told(holder: Holder) -> list[object]:
    """The messages of a first run, but for their times."""
    sent = holder.run()
    return [{**message.model_dump(), "emitted_at": None} for message in sent]


def test_the_other_process_says_the_same(directory: Path, on_disk: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = archived(directory, {"C1": [said(stamp(second), "é" * second) for second in range(1, 300)]})
    maker.files("C1", file("F1"))

    beside_the_worker = told(Holder(on_disk.context))
    monkeypatch.setattr(archive_walk, "WORTH_ROWS", 1 << 60)

    assert beside_the_worker == told(Holder(on_disk.context))


def test_an_archive_that_is_read_starts_no_process(
    directory: Path, on_disk: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(directory, {"C1": [said(stamp(1))]})
    monkeypatch.setattr(archive_walk, "WORTH_ROWS", 3)
    monkeypatch.setattr(beside, "Child", None)
    on_disk.run()

    assert on_disk.run()
