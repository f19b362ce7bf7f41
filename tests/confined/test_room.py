"""A parser of foreign bytes works in a child process that its limits end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from pdpp_worker.confined.room import MOST_CHILDREN, ConfinedError, Room
from tests.support.waiting import until

pytestmark = pytest.mark.process  # starts processes itself

RoomOf = Callable[..., Room]


@pytest.fixture
def room_of() -> Iterator[RoomOf]:
    """Makes rooms of the functions in `parsers`, and closes them."""
    with ExitStack() as rooms:

        def make(name: str, **limits: float) -> Room:
            room = Room(f"tests.confined.parsers:{name}", **limits)  # type: ignore[arg-type]
            rooms.callback(room.close)
            return room

        yield make


def test_the_answer_comes_back_with_whatever_text_a_parser_finds(room_of: RoomOf) -> None:
    assert room_of("reverse").call(b"\xffab") == "ba\udcff"


def test_a_job_that_uses_too_much_processor_time_is_ended(room_of: RoomOf) -> None:
    with pytest.raises(ConfinedError, match="more than 1 s"):
        room_of("spin", cpu_s=1).call(b"x")


def test_a_job_that_only_waits_is_ended(room_of: RoomOf) -> None:
    with pytest.raises(ConfinedError, match="more than"):
        room_of("sleep", wall_s=3).call(b"x")


def test_a_job_that_takes_too_much_memory_is_ended(room_of: RoomOf) -> None:
    with pytest.raises(ConfinedError, match="too much memory"):
        room_of("swell").call(b"x")


def test_a_parser_that_dies_costs_its_job_only(room_of: RoomOf) -> None:
    room = room_of("die")

    for _ in range(2):
        with pytest.raises(ConfinedError, match="sudden end"):
            room.call(b"x")


def test_an_answer_longer_than_may_be_is_not_taken(room_of: RoomOf) -> None:
    with pytest.raises(ConfinedError):
        room_of("flood").call(b"x")


def test_the_job_after_one_that_was_ended_is_worked_on(room_of: RoomOf) -> None:
    room = room_of("spin", cpu_s=1)

    with pytest.raises(ConfinedError):
        room.call(b"x")

    assert room.call(b"") is None


def test_processor_time_is_counted_for_each_job_by_itself(room_of: RoomOf) -> None:
    room = room_of("process", cpu_s=1)

    assert len({room.call(b"x") for _ in range(50)}) == 1


def test_a_child_sees_nothing_of_the_workers_environment(room_of: RoomOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_SECRET_KEY", "a key")

    assert set(room_of("environment").call(b"")) <= {"PYTHONPATH", "LC_ALL", "LC_CTYPE"}


def test_jobs_that_come_at_once_share_a_few_children(room_of: RoomOf) -> None:
    room = room_of("process")

    with ThreadPoolExecutor(30) as threads:
        assert len(set(threads.map(room.call, [b"x"] * 30))) <= MOST_CHILDREN


def test_a_child_that_ended_while_it_was_idle_costs_no_job(room_of: RoomOf) -> None:
    room = room_of("process")
    first = room.call(b"x")
    os.kill(first, signal.SIGKILL)
    until(lambda: not _is_running(first))

    assert room.call(b"x") != first


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
