"""A connection's files are lent and taken back, whatever a program has left among them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker import trees
from pdpp_worker.command.connector_user import Account
from pdpp_worker.command.lent_files import lent
from tests.test_trees import nest, unnest

OURS = os.geteuid(), os.getegid()
THEIRS = Account(54_321, 54_321) if OURS[0] == 0 else Account(*OURS)
ODD: dict[str, Callable[[Path], Any]] = {
    "a file": Path.touch,
    "a pipe": os.mkfifo,
    "a link that leads nowhere": lambda place: place.symlink_to("nowhere"),
    "a link to itself": lambda place: place.symlink_to(place),
}


@pytest.mark.parametrize("leave", ODD.values(), ids=ODD)
def test_whatever_is_left_in_the_place_of_its_home_costs_no_later_run(
    tmp_path: Path, leave: Callable[[Path], Any]
) -> None:
    leave(tmp_path / ".home")
    leave(tmp_path / ".tmp")

    with lent(tmp_path, THEIRS, kept=()) as variables:
        assert all(Path(variables[name]).stat().st_uid == THEIRS.uid for name in ("HOME", "TMPDIR"))


def test_directories_without_end_are_lent_and_taken_back(tmp_path: Path) -> None:
    nest(tmp_path)
    try:
        with lent(tmp_path, THEIRS, kept=()):
            lent_to = _owners(tmp_path)

        assert (lent_to, _owners(tmp_path)) == ({THEIRS.uid}, {OURS[0]})
    finally:
        unnest(tmp_path)


def _owners(top: Path) -> set[int]:
    return {os.fstat(folder).st_uid for folder in trees.folders(top)}
