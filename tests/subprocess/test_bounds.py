"""A command ends with its slice, however that ends, and is read only as fast as it is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.command.child import Child
from pdpp_worker.runtime.time_limits import SliceEnded
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import runs
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import connection_files, quota
from tests.subprocess.conftest import HERE, Commands, is_running
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.process  # starts processes itself

WRITER = "import os\nwhile True: os.write(1, b'x' * 1023 + b'\\n')"


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def start(code: str, check: Callable[[], None] = lambda: None, *, memory_bytes: int = 0) -> Child:
    """A command in Python."""
    command = [sys.executable, "-c", code]
    return Child(command, HERE, dict(os.environ), check=check, log=lambda _: None, memory_bytes=memory_bytes)


def test_a_command_whose_cursors_wait_for_its_end_is_not_cut(commands: Commands) -> None:
    commands.settings = commands.settings.model_copy(update={"slice_s": 0.01, "slice_messages": 1, "batch_records": 1})

    run = commands.misbehave("certified_failure", "items", "others")

    assert (run["slices"], commands.cursors()) == (1, {"items": "1"})


def test_the_owner_stops_a_run_whose_command_is_silent_and_ignores_sigterm(commands: Commands) -> None:
    commands.use_hostile("ignores_sigterm")
    commands.settings = commands.settings.model_copy(update={"lease_s": 0.5})
    run_id = commands.queue()
    working = in_background(lambda: commands.slice(run_id))
    until(lambda: commands.marked)

    with commands.db.begin() as connection:
        runs.request_cancel(connection, commands.connection_id)
    working.join(PATIENCE_S)

    assert (commands.row(run_id)["status"], set(commands.held())) == ("cancelled", {"a"})
    commands.nothing_is_left()


def test_a_worker_that_lost_its_lease_ends_the_command_and_writes_nothing(commands: Commands) -> None:
    commands.use_hostile("never_answers")
    commands.settings = commands.settings.model_copy(update={"lease_s": 0.5})
    run_id = commands.queue()
    working = in_background(lambda: commands.slice(run_id))
    until(lambda: commands.marked)

    with commands.db.begin() as connection:
        connection.execute(text("UPDATE leases SET token = token + 1, holder = 'another'"))
    working.join(PATIENCE_S)

    assert commands.row(run_id)["status"] == "running"
    commands.nothing_is_left()


def test_a_worker_that_is_killed_takes_its_commands_along(
    commands: Commands, settings: Settings, redis: Redis, db: Database
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom pdpp_worker.command.child import Child\n"
        f"one = Child([sys.executable, 'hostile.py', 'ignores_sigterm'], Path({str(HERE / 'hostile')!r}),\n"
        "    {'PDPP_FILES_DIR': sys.argv[1]}, check=lambda: None, log=lambda _: None)\n"
        "one.send(b'{}')\nfor line in one.lines(): print(line, flush=True)\n"
    )
    marks = settings.data_dir / "files" / "1-mine"
    marks.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    worker = subprocess.Popen([sys.executable, "-c", code, str(marks)], env=environment, stdout=subprocess.PIPE)
    with worker:
        until(lambda: commands.marked)
        subreaper = psutil.Process(commands.marked[0]).ppid()

        worker.kill()

    commands.nothing_is_left()
    until(lambda: not is_running(subreaper))


def test_a_command_that_writes_faster_than_it_is_read_waits(commands: Commands) -> None:
    one = start(WRITER)
    lines = one.lines()
    next(lines)
    writer = psutil.Process(one._process.pid).children()[0]

    def is_blocked() -> bool:
        before = writer.io_counters().write_bytes, writer.cpu_times().user
        time.sleep(0.2)
        return before == (writer.io_counters().write_bytes, writer.cpu_times().user)

    until(is_blocked)
    held = len(one._whole)
    one.stop()

    assert held * 1024 <= 256 * 1024


def test_a_wait_for_a_command_is_ended_in_bounded_time() -> None:
    def stop_it() -> None:
        if time.monotonic() > begun + 0.3:
            raise SliceEnded

    begun = time.monotonic()
    one = start("import time; time.sleep(600)", stop_it)

    with pytest.raises(SliceEnded):
        list(one.lines())
    one.stop()

    assert one._process.returncode == 128 + 15


def test_a_start_that_is_longer_than_a_pipe_reaches_a_command_that_answers_meanwhile() -> None:
    one = start("import sys\nfor line in sys.stdin: print(len(line), flush=True)")

    one.send(b"x" * 5_000_000)

    assert next(one.lines()) == b"5000001"
    one.stop()


def test_no_zombie_is_left() -> None:
    one = start("print('hello')")
    list(one.lines())
    subreaper = one._process.pid

    one.stop()

    assert not psutil.pid_exists(subreaper)


@pytest.mark.parametrize("how", ["swells", "swells_in_many"])
def test_a_command_that_takes_memory_without_end_is_one_failed_run(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("PDPP_CONNECTOR_MEMORY_MB", "100")
    get_settings.cache_clear()

    run = commands.misbehave(how)
    monkeypatch.undo()
    get_settings.cache_clear()

    assert (run["status"], set(commands.held())) == ("partially_completed", {"a"})
    assert "PDPP_CONNECTOR_MEMORY_MB" in run["error"] or (how == "swells" and "exit code 1" in run["error"])
    if how == "swells_in_many":
        commands.nothing_is_left()


def test_address_space_that_is_only_reserved_is_no_memory() -> None:
    code = "import mmap; held = mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 0); print(len(held))"
    one = start(code, memory_bytes=100 << 20)

    assert next(one.lines()) == b"1073741824"
    one.stop()


def test_nothing_of_a_commands_choice_reaches_the_process_that_starts_it(tmp_path: Path) -> None:
    code = (
        "import json, os, time; print(json.dumps([os.getcwd(), os.environ['LD_BIND_NOW']]), flush=True); time.sleep(60)"
    )
    command, environment = [sys.executable, "-c", code], {"LD_BIND_NOW": "1", "PYTHONPATH": str(tmp_path)}
    one = Child(command, tmp_path, environment, check=lambda: None, log=lambda _: None)
    line = next(one.lines())
    keeper = psutil.Process(one._process.pid)

    seen = keeper.environ(), keeper.cwd()
    one.stop()

    assert (seen, line) == (({"LC_ALL": "C.UTF-8"}, "/"), f'["{tmp_path}", "1"]'.encode())


def test_an_environment_that_is_longer_than_a_pipe_reaches_a_command_whole() -> None:
    environment = {f"V{number}": "ü" * 50_000 for number in range(8)}
    code = "import os; print(sum(len(os.environ[f'V{number}']) for number in range(8)))"
    one = Child([sys.executable, "-X", "utf8", "-c", code], HERE, environment, check=lambda: None, log=lambda _: None)

    assert next(one.lines()) == b"400000"
    one.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to another process than init")
def test_what_has_shed_its_environment_and_session_ends_with_a_killed_subreaper() -> None:
    away = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = (
        "import os, signal, sys, time\n"
        "if os.fork():\n    time.sleep(600)\n"
        f"os.setsid()\nif os.fork() == 0: os.execve(sys.executable, [sys.executable, '-c', {away!r}], {{}})\n"
    )
    one = start(code)
    line = next(one.lines())
    assert isinstance(line, bytes)

    os.kill(one._process.pid, signal.SIGKILL)
    one.stop()

    assert not psutil.pid_exists(int(line))


def test_a_command_that_fills_the_disk_is_one_failed_run_that_says_what_to_do(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "_COUNT_EVERY_S", 0.0)
    commands.settings = commands.settings.model_copy(update={"connection_files_mb": 5})

    run = commands.misbehave("fills_the_disk")

    [directory] = connection_files.directories(commands.settings)
    assert (run["status"], set(commands.held())) == ("partially_completed", {"a"})
    assert "PDPP_CONNECTION_FILES_MB" in run["error"]
    assert {one["reason"] for one in commands.gaps()} == {"storage_full"}
    assert quota.counted(directory) < 100_000_000
