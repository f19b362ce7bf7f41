"""Processes are kept running, and none is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.log_files import rotate
from pdpp_worker.local.needs import OnRequest, request, request_file
from pdpp_worker.local.supervisor import ProcessSpec, Supervisor
from tests.support.waiting import until

pytestmark = pytest.mark.process  # starts processes itself

_SLEEP = "import time; print('up', flush=True); time.sleep(60)"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + _SLEEP
_PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {_SLEEP!r}]); {_SLEEP}"
_SUPERVISE = """
import os, sys
from pathlib import Path
from pdpp_worker.local.supervisor import ProcessSpec, Supervisor
spec = ProcessSpec("child", (sys.executable, "-c", sys.argv[2]))
supervisor = Supervisor([spec], Path(sys.argv[1]), os.environ)
supervisor.run(lambda: print(supervisor.states[0].pid, flush=True))
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def spec(code: str, name: str = "child") -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code))


def pid_of(supervisor: Supervisor) -> int:
    pid = supervisor.states[0].pid
    assert pid is not None
    return pid


def is_up(supervisor: Supervisor, times: int = 1) -> bool:
    return supervisor.log_path("child").read_text().count("up") >= times


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def crash(supervisor: Supervisor) -> None:
    pid = pid_of(supervisor)
    os.kill(pid, signal.SIGKILL)
    until(lambda: has_ended(pid))
    supervisor.poll()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(tmp_path: Path, clock: Clock) -> Iterator[Supervisor]:
    with Supervisor([spec(_SLEEP)], tmp_path, os.environ, clock=clock) as running:
        yield running


def test_a_process_writes_to_a_log_of_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    until(lambda: (tmp_path / "logs" / "child.log").read_text() == "up\n")


def test_a_process_has_a_group_of_its_own_so_that_ctrl_c_does_not_reach_it(supervisor: Supervisor) -> None:
    assert os.getpgid(pid_of(supervisor)) == pid_of(supervisor)


def test_stopping_ends_every_process(tmp_path: Path) -> None:
    specs = [spec(_SLEEP, "one"), spec(_SLEEP, "two")]
    with Supervisor(specs, tmp_path, os.environ) as supervisor:
        pids = [state.pid for state in supervisor.states]

    assert [pid for pid in pids if pid is None or psutil.pid_exists(pid)] == []


def test_a_process_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    supervisor = Supervisor([spec(_STUBBORN)], tmp_path, os.environ)
    supervisor.start()
    until(lambda: is_up(supervisor))
    pid = pid_of(supervisor)

    supervisor.stop(grace_s=0.2)

    assert not psutil.pid_exists(pid)


def test_the_children_of_a_process_do_not_outlive_it(tmp_path: Path) -> None:
    with Supervisor([spec(_PARENT)], tmp_path, os.environ) as supervisor:
        until(lambda: is_up(supervisor, times=2))
        (grandchild,) = psutil.Process(pid_of(supervisor)).children()

        crash(supervisor)

        until(lambda: has_ended(grandchild.pid))


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else tells of it")
def test_a_process_that_stays_stopped_is_ended_and_started_again(
    supervisor: Supervisor, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = pid_of(supervisor)
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: psutil.Process(stopped).status() == psutil.STATUS_STOPPED)
    supervisor.poll()
    assert "child was stopped by a signal" in caplog.text

    clock.now += 30.0
    supervisor.poll()
    until(lambda: has_ended(stopped))
    supervisor.poll()
    clock.now += 1.0
    supervisor.poll()

    assert pid_of(supervisor) != stopped


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else tells of it")
def test_a_process_that_goes_on_in_time_is_left_alone(supervisor: Supervisor, clock: Clock) -> None:
    pid = pid_of(supervisor)
    for number, state in ((signal.SIGSTOP, True), (signal.SIGCONT, False), (signal.SIGSTOP, True)):
        os.kill(pid, number)
        until(lambda: (psutil.Process(pid).status() == psutil.STATUS_STOPPED) is state)  # noqa: B023 - called at once
        supervisor.poll()
        clock.now += 20.0

    supervisor.poll()

    assert (pid_of(supervisor), has_ended(pid)) == (pid, False)
    os.kill(pid, signal.SIGCONT)


def test_a_crashed_process_is_started_again_after_a_delay_that_doubles(supervisor: Supervisor, clock: Clock) -> None:
    for delay_s in (1.0, 2.0, 4.0):
        crash(supervisor)

        clock.now += delay_s * 0.9
        supervisor.poll()
        assert supervisor.states[0].pid is None

        clock.now += delay_s * 0.1
        supervisor.poll()
        assert not has_ended(pid_of(supervisor))


def test_one_that_cannot_be_started_is_tried_again_and_the_others_go_on(
    supervisor: Supervisor, clock: Clock, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.rename(tmp_path / "aside")
    logs.touch()  # in the way

    crash(supervisor)
    clock.now += 1.0
    supervisor.poll()
    assert supervisor.states[0].crashes == 2
    assert supervisor.states[0].pid is None

    logs.unlink()
    clock.now += 2.0
    supervisor.poll()
    assert not has_ended(pid_of(supervisor))


def test_the_delay_has_a_ceiling(supervisor: Supervisor, clock: Clock) -> None:
    for _ in range(8):
        crash(supervisor)
        clock.now += 60.0
        supervisor.poll()

        assert supervisor.states[0].pid is not None
    assert supervisor.states[0].crashes == 8


def test_a_process_that_ran_well_starts_over_with_the_shortest_delay(supervisor: Supervisor, clock: Clock) -> None:
    crash(supervisor)
    clock.now += 1.0
    supervisor.poll()

    clock.now += 61.0
    crash(supervisor)

    assert supervisor.states[0].crashes == 1


def test_a_long_log_is_put_aside_while_its_process_writes_on(tmp_path: Path, clock: Clock) -> None:
    talks = "import itertools, time\nfor n in itertools.count(): print('x' * 1000 if n else 'first', flush=True)"
    with Supervisor([spec(talks)], tmp_path, os.environ, clock=clock) as supervisor:
        log = supervisor.log_path("child")
        until(lambda: log.stat().st_size > 10_000_000)

        clock.now += 5.0
        supervisor.poll()

        aside = log.with_name("child.log.1")
        assert aside.stat().st_size > 10_000_000
        until(lambda: log.stat().st_size > 0)
        assert log.read_bytes()[:1] == b"x" or b"first" not in log.read_bytes()[:10]


def test_a_long_log_that_cannot_be_put_aside_is_emptied_and_ends_nobody(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_text("long")
    log.with_name("child.log.1").mkdir()  # in the way

    rotate(log, 3)

    assert log.read_text() == ""


def test_a_long_log_is_put_aside_at_the_start(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    log.parent.mkdir()
    with log.open("wb") as sparse:
        sparse.truncate(20_000_000)

    with Supervisor([spec(_SLEEP)], tmp_path, os.environ):
        assert log.with_name("child.log.1").stat().st_size == 20_000_000
        assert log.stat().st_size < 100


def test_a_second_fleet_in_the_same_data_directory_is_refused(supervisor: Supervisor, tmp_path: Path) -> None:
    second = Supervisor([spec(_SLEEP)], tmp_path, os.environ)

    with pytest.raises(ConfigurationError, match=r"A fleet already runs in .*PDPP_DATA_DIR"):
        second.start()


def test_a_fleet_can_start_where_one_was_stopped(tmp_path: Path) -> None:
    supervisor = Supervisor([spec(_SLEEP)], tmp_path, os.environ)
    for _ in range(2):
        supervisor.start()
        supervisor.stop()


IDLE_S = 300.0


@pytest.fixture
def asked(tmp_path: Path, clock: Clock) -> Iterator[Supervisor]:
    """The supervisor of a process that runs while it is asked for."""
    need = OnRequest(str(request_file(tmp_path, "child")), IDLE_S)
    specs = [ProcessSpec("child", (sys.executable, "-c", _SLEEP), need)]
    with Supervisor(specs, tmp_path, os.environ, clock=clock) as running:
        yield running


def pass_idle_time(clock: Clock, tmp_path: Path) -> None:
    """Let nobody ask for a process for as long as it stays."""
    clock.now += IDLE_S
    file = request_file(tmp_path, "child")
    before = file.stat().st_mtime - IDLE_S
    os.utime(file, (before, before))


def test_what_is_needed_at_times_does_not_run_before(asked: Supervisor, clock: Clock) -> None:
    clock.now += 1000.0
    asked.poll()

    assert asked.states[0].pid is None


def test_a_request_starts_it_and_it_ends_when_nobody_has_asked_for_a_while(
    asked: Supervisor, clock: Clock, tmp_path: Path
) -> None:
    request(tmp_path, "child")
    asked.poll()
    pid = pid_of(asked)

    pass_idle_time(clock, tmp_path)
    asked.poll()

    until(lambda: has_ended(pid))


def test_a_request_keeps_it_running(asked: Supervisor, clock: Clock, tmp_path: Path) -> None:
    request(tmp_path, "child")
    asked.poll()
    pid = pid_of(asked)

    pass_idle_time(clock, tmp_path)
    request(tmp_path, "child")
    asked.poll()

    assert asked.states[0].pid == pid
    assert not has_ended(pid)


def test_a_request_that_comes_while_it_ends_starts_it_again(asked: Supervisor, clock: Clock, tmp_path: Path) -> None:
    request(tmp_path, "child")
    asked.poll()
    first = pid_of(asked)
    pass_idle_time(clock, tmp_path)
    asked.poll()
    request(tmp_path, "child")
    until(lambda: has_ended(first))

    asked.poll()
    clock.now += 1.0
    asked.poll()

    assert asked.states[0].pid not in (None, first)


def test_what_was_needed_when_it_crashed_is_started_again(asked: Supervisor, clock: Clock, tmp_path: Path) -> None:
    request(tmp_path, "child")
    asked.poll()
    request_file(tmp_path, "child").unlink()

    crash(asked)
    clock.now += 1.0
    asked.poll()

    assert asked.states[0].pid is not None


def test_a_caller_starts_what_listens_and_is_answered(tmp_path: Path) -> None:
    answers = "import socket, sys; one, _ = socket.socket(fileno=int(sys.argv[1])).accept(); one.sendall(b'here')"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        need = OnRequest(str(request_file(tmp_path, "child")), IDLE_S, listening.fileno())
        command = (sys.executable, "-c", answers, str(listening.fileno()))
        with Supervisor([ProcessSpec("child", command, need)], tmp_path, os.environ) as supervisor:
            assert supervisor.states[0].pid is None
            with socket.create_connection(listening.getsockname()) as caller:
                supervisor.poll()

                assert caller.recv(10) == b"here"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_supervisor_and_its_processes(sent: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISE, str(tmp_path), _SLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())

        running.send_signal(sent)
        running.communicate()

    assert running.returncode == 0
    assert not psutil.pid_exists(child)


def test_a_second_signal_ends_what_does_not_listen(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISE, str(tmp_path), _STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())
        until(lambda: (tmp_path / "logs" / "child.log").read_text() == "up\n")

        def ended() -> bool:
            running.terminate()
            return running.poll() is not None

        until(ended)

    assert not psutil.pid_exists(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_no_process_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISE, str(tmp_path), _SLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())

        running.kill()

    until(lambda: has_ended(child))
