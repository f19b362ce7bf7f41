"""The slackdump program, played: run, watched and ended, and its archive read whatever became of it."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.slack import slackdump
from connectors.slack.connector import collect
from connectors.slack.slackdump import Slackdump
from pdpp_worker.connector import Progress, Reason
from tests.connectors.slack import player
from tests.connectors.slack.account import ArchiveMaker, Obj, archived, channel, said, stamp, thread
from tests.connectors.slack.conftest import ALL, Holder, emitted, gaps, recovered, settings, skips
from tests.support.connectors import context, start
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.process  # starts processes itself

BIG = [said(stamp(second)) for second in range(6)]
SMALL = [said(stamp(0))]
Connect = Callable[..., Holder]


@pytest.fixture
def connect(directory: Path) -> Connect:
    """Makes a connection whose slackdump is the player."""

    def connected(program: Path, secrets: dict[str, str] | None = None, **given: Any) -> Holder:
        return Holder(context(settings(archive=str(directory), slackdump=str(program), **given), secrets))

    return connected


def test_the_first_run_archives_and_the_next_resumes(tmp_path: Path, directory: Path, connect: Connect) -> None:
    channels: dict[str, list[Obj]] = {"C1": BIG, "C2": thread(stamp(1), stamp(2))}
    program = player.install(tmp_path / "bin", channels)
    holder = connect(program, lookback_days=3)

    assert skips(holder.run()) == {}
    player.plan(program, {**channels, "C3": [said(stamp(9))]})
    sent = holder.run()

    first, second = player.called(program)
    assert first[:4] == ["archive", "-y", "-files=false", "-member-only"]
    assert first[-2:] == ["-o", str(directory)]
    assert second[:5] == ["resume", "-files=false", "-refresh", "-lookback", "p3d"]
    assert second[-1] == str(directory)
    assert f"C3:{stamp(9)}" in emitted(sent, "messages")
    assert len(holder.held("messages")) == 9


def test_what_is_there_is_taken_when_slackdump_dies_on_one_channel(tmp_path: Path, connect: Connect) -> None:
    said_last = "006 (Application Error): channel channel C2: slack server error: 500."
    program = player.install(tmp_path / "bin", {"C1": BIG, "C2": BIG}, {"fails": "C2", "exit": 6, "said": said_last})
    holder = connect(program)

    sent = holder.run()

    told = gaps(sent)
    assert set(told) == {"C2"}
    assert told["C2"].reason == Reason.SOURCE_PARTITION_FAILED
    assert "exit code 6" in told["C2"].error
    assert told["C2"].retry_after is not None
    assert skips(sent) == {}
    assert len(holder.held("messages")) == 6 + player.PAGE


def test_a_channel_that_is_named_only_by_the_last_words_is_a_gap_too(tmp_path: Path, connect: Connect) -> None:
    call = {"exit": 6, "said": "thread channel C1:1767225600.000000: rate limited"}
    holder = connect(player.install(tmp_path / "bin", {"C1": SMALL}, call))

    assert set(gaps(holder.run())) == {"C1/1767225600.000000"}


def test_a_channel_that_failed_does_not_keep_the_others_from_being_read(tmp_path: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": BIG, "C2": BIG}, {"fails": "C2", "exit": 6})
    holder = connect(program)
    holder.run()

    sent = holder.run()

    assert player.called(program)[-1][-1] == "^C2"
    assert (gaps(sent), skips(sent)) == ({}, {})


def test_a_due_gap_is_named_to_slackdump_and_closed_by_its_records(tmp_path: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": BIG, "C2": BIG}, {"fails": "C2", "exit": 6})
    holder = connect(program)
    told = gaps(holder.run())["C2"]

    sent = holder.run(gaps=[told.known])

    assert player.called(program)[-1][-1] == "C2"
    assert recovered(sent) == ["7"]
    assert len(holder.held("messages")) == 12


def test_a_recovery_run_reads_exactly_what_is_missing(tmp_path: Path, directory: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": BIG, "C2": BIG}, {"fails": "C2", "exit": 6})
    holder = connect(program)
    told = gaps(holder.run())["C2"]
    before = dict(holder.state)

    sent = holder.run(gaps=[told.known], recovery_only=True)

    assert player.called(program)[-1][-3:] == ["-o", str(directory), "C2"]
    assert {key.partition(":")[0] for key in emitted(sent, "messages")} == {"C2"}
    assert recovered(sent) == ["7"]
    assert holder.state == before


def test_a_thread_is_recovered_by_itself(tmp_path: Path, connect: Connect) -> None:
    parent = stamp(1)
    call = {"fails": f"C1:{parent}", "exit": 6}
    program = player.install(tmp_path / "bin", {"C1": thread(parent, stamp(2))}, call)
    holder = connect(program)
    told = gaps(holder.run())[f"C1/{parent}"]

    sent = holder.run(gaps=[told.known], recovery_only=True)

    assert player.called(program)[-1][-1] == f"C1:{parent}"
    assert emitted(sent, "messages") == [f"C1:{parent}", f"C1:{stamp(2)}"]


def test_what_fails_again_stays_a_gap(tmp_path: Path, connect: Connect) -> None:
    dies = {"fails": "C2", "exit": 6}
    program = player.install(tmp_path / "bin", {"C1": SMALL, "C2": BIG}, dies, dies)
    holder = connect(program)
    told = gaps(holder.run())["C2"]

    sent = holder.run(gaps=[told.known], recovery_only=True)

    assert gaps(sent)["C2"].gap_id == "7"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, Reason.SOURCE_PARTITION_FAILED),
        (3, Reason.EXPORT_NOT_WIRED),
        (4, Reason.CREDENTIALS_EXPIRED),
        (5, Reason.NETWORK_ERROR),
        (6, Reason.SOURCE_PARTITION_FAILED),
        (77, Reason.SOURCE_PARTITION_FAILED),
        (127, Reason.EXPORT_NOT_WIRED),
    ],
)
def test_an_exit_that_points_at_no_channel_puts_all_in_doubt_and_what_is_there_is_taken(
    tmp_path: Path, connect: Connect, code: int, reason: Reason
) -> None:
    holder = connect(player.install(tmp_path / "bin", {"C1": BIG}, {"exit": code}))

    sent = holder.run()

    assert {one.reason for one in skips(sent).values()} == {reason}
    assert set(skips(sent)) == {"messages", "message_attachments", "reactions"}
    assert len(holder.held("messages")) == 6


def test_a_session_that_slack_no_longer_knows_waits_for_the_owner(tmp_path: Path, connect: Connect) -> None:
    call = {"exit": 5, "said": "error getting workspace info: invalid_auth"}
    holder = connect(player.install(tmp_path / "bin", {"C1": BIG}, call))

    assert skips(holder.run())["messages"].reason == Reason.CREDENTIALS_EXPIRED


def let_an_hour_pass_at_each_look_once_stalled(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that starts late on a busy machine is not silent yet."""
    hours = itertools.count()

    def now() -> float:
        return time.monotonic() + (3600.0 * next(hours) if player.has_stalled(program).exists() else 0.0)

    monkeypatch.setattr(slackdump, "time", SimpleNamespace(monotonic=now, time=time.time))
    monkeypatch.setattr(slackdump, "POLL_S", 0.1)


def test_silence_is_bounded_and_what_was_written_is_taken(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = player.install(tmp_path / "bin", {"C1": BIG}, {"stalls": True})
    let_an_hour_pass_at_each_look_once_stalled(program, monkeypatch)
    holder = connect(program)

    sent = holder.run()

    assert any(isinstance(one, Progress) and "at work" in one.message for one in sent)
    assert len(holder.held("messages")) == 6


def test_a_silence_that_leaves_something_open_is_told_as_one(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {"stalls": True, "fails": "C1", "exit": 1}
    program = player.install(tmp_path / "bin", {"C1": BIG}, call)
    let_an_hour_pass_at_each_look_once_stalled(program, monkeypatch)
    holder = connect(program)

    assert gaps(holder.run())["C1"].reason == Reason.TIMED_OUT


def test_the_end_of_a_slice_ends_slackdump_and_the_next_slice_resumes(
    tmp_path: Path, directory: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slackdump, "POLL_S", 0.2)
    program = player.install(tmp_path / "bin", {"C1": BIG}, {"stalls": True})
    holder = connect(program)
    request = start(ALL, {})
    with closing(cast(Generator[Any], collect(request, holder.context))) as messages:
        deadline = time.monotonic() + PATIENCE_S
        while not is_written(directory):
            next(messages)
            assert time.monotonic() < deadline

    with (directory / slackdump.LOCK_NAME).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    holder.run()

    assert [call[0] for call in player.called(program)] == ["archive", "resume"]
    assert len(holder.held("messages")) == 6


def is_written(directory: Path) -> bool:
    """Whether the player has written all that it will."""
    try:
        with closing(sqlite3.connect(f"file:{directory / 'slackdump.sqlite'}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT 1 FROM SESSION WHERE FINISHED").fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def test_nothing_is_read_while_an_earlier_slackdump_writes(tmp_path: Path, directory: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": BIG})
    holder = connect(program)
    holder.run()
    with (directory / slackdump.LOCK_NAME).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sent = holder.run()

    assert "still writes" in skips(sent)["messages"].message
    assert len(player.called(program)) == 1
    assert emitted(sent, "messages") == []


def test_credentials_are_handed_over_in_no_command_line(tmp_path: Path, directory: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": SMALL})
    holder = connect(program, {"token": "xoxc-secret", "cookie": "xoxd-secret"})

    holder.run()
    holder.run()

    assert [call[0] for call in player.called(program)] == ["workspace", "archive", "resume"]
    assert "secret" not in str(player.called(program))
    assert not any("secret" in path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())


def test_a_login_that_fails_leaves_the_archive_as_it_is(tmp_path: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": SMALL}, {"exit": 4})
    holder = connect(program, {"token": "xoxc-secret"})

    assert {one.reason for one in skips(holder.run()).values()} == {Reason.CREDENTIALS_EXPIRED}


def test_without_slackdump_and_without_an_archive_it_is_said_what_to_do(tmp_path: Path, connect: Connect) -> None:
    sent = connect(tmp_path / "nowhere").run()

    assert set(skips(sent)) == set(ALL)
    assert "slackdump is not installed" in skips(sent)["messages"].message


def test_members_only_leaves_out_what_is_merely_listed(tmp_path: Path, directory: Path, connect: Connect) -> None:
    program = player.install(tmp_path / "bin", {"C1": SMALL})
    holder = connect(program)
    holder.run()
    maker = ArchiveMaker(directory)
    maker.session = 1
    maker.channels(channel("C9", is_member=False))
    maker.close()

    holder.run()

    assert player.called(program)[-1][-1] == "^C9"


@pytest.mark.parametrize(("ceiling_ms", "warns"), [(1200.0, False), (60_000.0, True)])
def test_a_ceiling_that_slackdump_cannot_keep_is_told(
    tmp_path: Path, connect: Connect, ceiling_ms: float, *, warns: bool
) -> None:
    holder = connect(player.install(tmp_path / "bin", {"C1": SMALL}))
    holder.context = replace(holder.context, min_interval_ms=ceiling_ms)

    told = [one.message or "" for one in holder.run() if isinstance(one, Progress)]

    assert any("cannot be held to your ceiling" in text for text in told) == warns


@pytest.mark.parametrize("is_ours", [True, False])
def test_only_a_slackdump_of_ours_is_ended_when_it_is_silent(tmp_path: Path, *, is_ours: bool) -> None:
    archived(tmp_path, {"C1": SMALL}).close()
    with (tmp_path / slackdump.LOCK_NAME).open("w+") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        sleeper = subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
        born = slackdump._born(sleeper.pid) if is_ours else "12"
        lock.write(f"{sleeper.pid} {born}")
        lock.flush()
        for path in tmp_path.iterdir():
            os.utime(path, (time.time() - 7200,) * 2)

        program = Slackdump("/bin/true", tmp_path, 3600.0)
        assert list(program.resume([], lookback_days=7)) == []

    try:
        if is_ours:
            assert sleeper.wait(PATIENCE_S) == -signal.SIGKILL
        else:
            assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
