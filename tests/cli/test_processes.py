"""The program as a process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.local.embedded import orphans
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.valkey import Valkey
from pdpp_worker.local.supervisor import GRACE_S
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.embedded.conftest import supervisors
from tests.support.fleet import ROOT, environment
from tests.support.logs import write_session
from tests.support.processes import words_of
from tests.support.scripted import Scenario, record
from tests.support.servers import temporary_data_dir
from tests.support.waiting import PATIENCE_S, until
from tests.support.wheel import environment_of, site, wheel

__all__ = ["site", "wheel"]

PROGRAM = (sys.executable, "-m", "pdpp_worker")
INTERRUPTED = {130, -signal.SIGINT}
"""A shell shows 130 for both: `python -m` may die by the signal itself where it struck in code made from text."""


def program(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command from start to end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(settings, **variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
    )


def _add(db: Database) -> None:
    """A connection, without a process that takes its time."""
    with db.begin() as connection:
        connections.add(connection, "mine", "chatgpt", {}, {})


def _runs(db: Database) -> list[tuple[str, bool]]:
    """The status of each run, and whether it is asked to stop."""
    with db.begin() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT status, cancel_requested FROM runs"))]


@contextmanager
def up(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The fleet in the foreground of a process; stopped by force if the test does not stop it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*PROGRAM, "up"],
            env=environment(settings, PDPP_WEB_PORT="0"),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "Ctrl-C" in log.read_text(), process)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_wrong_name_is_one_sentence_and_no_traceback(settings: Settings) -> None:
    result = program(settings, "run", "nope")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("There is no connection named 'nope'")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_broker_the_run_is_queued_all_the_same(settings: Settings, db: Database) -> None:
    _add(db)

    result = program(settings, "run", "mine", "--no-wait", PDPP_BROKER_URL="redis://127.0.0.1:1/0")

    assert result.returncode == 0, result.stderr
    assert "the dispatcher will find it" in result.stderr
    assert _runs(db) == [("queued", False)]


def test_a_reader_that_leaves_early_is_no_failure_to_talk_about(settings: Settings, scenario: Scenario) -> None:
    scenario.send(*(record(f"r{number}", text="x" * 1000) for number in range(3000)))
    scenario.run()
    export = subprocess.Popen(
        [*PROGRAM, "export", "mine", "items"],
        env=environment(settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert export.stdout is not None
    assert export.stderr is not None

    assert export.stdout.readline()
    export.stdout.close()

    assert b"Traceback" not in export.stderr.read()
    export.stderr.close()
    assert export.wait(PATIENCE_S) == 1


def test_up_collects_what_is_added_shows_it_and_stops_when_told(
    settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    projects, home, log = tmp_path / "projects", tmp_path / "home", tmp_path / "up.log"
    home.mkdir()
    write_session(projects, number=1, lines=10)
    folders = ("--set", f"projects_dir={projects}", "--set", f"claude_dir={home}")

    with up(settings, log) as fleet:
        added = program(settings, "connection", "add", "logs", "--connector", "claude_code", *folders)
        assert added.returncode == 0, added.stderr
        until(lambda: _runs(db) == [("succeeded", False)], fleet)
        run = program(settings, "run", "logs")
        shown = httpx.get(re.findall(r"(http://127\S+)/enter", log.read_text())[0] + "/health", timeout=PATIENCE_S)
        exported = program(settings, "export", "logs", "messages")
        second = program(settings, "up")
        fleet.send_signal(signal.SIGTERM)
        code = fleet.wait(PATIENCE_S)

    assert run.returncode == 0, run.stderr
    assert "succeeded" in run.stdout
    assert len(exported.stdout.splitlines()) == 10
    assert second.returncode == 2
    assert "already runs" in second.stderr
    assert shown.status_code == 200
    assert code == 0
    text = log.read_text()
    assert str(settings.data_dir / "logs") in text
    assert text.endswith("Stopped.\n")


@contextmanager
def up_with_servers(site: Path, data_dir: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The fleet with servers of its own, from the wheel and away from the checkout."""
    own = environment_of(site, data_dir)
    with log.open("wb") as output:
        fleet = subprocess.Popen([*PROGRAM, "up"], env=own, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: "Ctrl-C" in log.read_text(), fleet)
        yield fleet
    finally:
        fleet.kill()
        fleet.wait()


def worker_of(fleet: subprocess.Popen[bytes], name: str) -> psutil.Process | None:
    """The process of the fleet that has this word in its command line."""
    children = psutil.Process(fleet.pid).children()
    return next((one for one in children if any(name in word for word in words_of(one))), None)


@pytest.mark.process
def test_up_starts_what_died_and_hears_a_signal_while_a_server_does_not_answer(site: Path, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with temporary_data_dir() as data_dir, up_with_servers(site, data_dir, log) as fleet:
        [supervisor] = supervisors(Postgres(data_dir))
        supervisor.kill()
        until(lambda: supervisors(Postgres(data_dir)) not in ([], [supervisor]), fleet)
        [valkey] = orphans.running_in(Valkey(data_dir).data, "valkey-server")
        valkey.suspend()
        try:
            control = until(lambda: worker_of(fleet, "--queues=control"), fleet)
            assert control is not None
            control.kill()
            until(lambda: worker_of(fleet, "--queues=control") not in (None, control), fleet)
            fleet.send_signal(signal.SIGTERM)
            assert fleet.wait(GRACE_S * 2) == 0
        finally:
            valkey.resume()


@contextmanager
def following(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, for so long at most as a test waits."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.start()
    try:
        with process:
            yield process
    finally:
        timer.cancel()


def test_events_are_followed_until_ctrl_c(settings: Settings, scenario: Scenario) -> None:
    scenario.send(record("a"))
    scenario.run()

    with following(settings, "events", "--follow", "--json") as process:
        assert process.stdout is not None
        before = [json.loads(process.stdout.readline())["run_id"] for _ in range(3)]
        second = scenario.run()["id"]
        after = [json.loads(process.stdout.readline())["run_id"] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert second not in before
    assert after == [second] * 3
    assert process.returncode in INTERRUPTED, said
    assert said == ""


def test_ctrl_c_leaves_the_run_alone(settings: Settings, db: Database, redis: Redis) -> None:
    _add(db)

    with following(settings, "run", "mine") as process:
        until(lambda: _runs(db))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode in INTERRUPTED, said
    assert "Traceback" not in said
    assert _runs(db) == [("queued", False)]


@pytest.mark.parametrize("arguments", [(), ("connection", "add", "--help")])
def test_help_is_plain_text(settings: Settings, arguments: tuple[str, ...]) -> None:
    result = program(settings, *arguments)

    assert "Usage: pdpp-worker" in result.stdout + result.stderr
    assert "\x1b" not in result.stdout + result.stderr
