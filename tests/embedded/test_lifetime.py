"""An embedded server runs while somebody holds it, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from pdpp_worker.errors import PdppError
from pdpp_worker.local.embedded.account import make_directory
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.reference import Reference
from pdpp_worker.local.embedded.server import Server
from pdpp_worker.local.embedded.valkey import Valkey
from pdpp_worker.local.parent_death import with_parent_death_signal
from tests.embedded.conftest import main_process, processes, supervisors
from tests.support.servers import temporary_data_dir, wait_until_stopped
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.process  # starts processes itself

_HOLDER = """
import sys
from pathlib import Path
from pdpp_worker.local.embedded.account import make_directory
from pdpp_worker.local.embedded.reference import Reference
from pdpp_worker.local.embedded.server_supervisor import KINDS
reference = Reference(KINDS[sys.argv[1]](Path(sys.argv[2])))
print("held", flush=True)
sys.stdin.read()
"""


def holder(server: Server) -> subprocess.Popen[str]:
    """Another process that holds the server until its standard input ends."""
    command = [sys.executable, "-c", _HOLDER, server.name, str(server.home.parent.parent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_server_answers_while_it_is_held_and_is_gone_afterwards(server: Server) -> None:
    with closing(Reference(server)):
        assert server.answers()

    wait_until_stopped(server.home)

    assert not server.answers()
    assert not processes(server)
    assert not supervisors(server)


def test_a_server_runs_on_until_its_last_user_lets_go(server: Server) -> None:
    first, second = Reference(server), Reference(server)
    supervisor = supervisors(server)

    first.close()

    with closing(second):
        second.ensure()
        assert supervisors(server) == supervisor


def test_a_user_that_is_killed_counts_no_longer(server: Server) -> None:
    with holder(server) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "held\n"

        user.kill()

    until(lambda: not supervisors(server))
    assert not processes(server)


def test_users_that_come_at_once_share_one_server(server: Server) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(holder(server)) for _ in range(3)]
        for user in users:
            assert user.stdout is not None
            assert user.stdout.readline() == "held\n"

        assert len(supervisors(server)) == 1
        assert main_process(server)

        for user in users:
            user.kill()


def test_a_server_that_is_killed_is_started_again(server: Server) -> None:
    with closing(Reference(server)):
        killed, supervisor = main_process(server), supervisors(server)

        killed.kill()

        until(lambda: not killed.is_running() and server.answers())
        assert supervisors(server) == supervisor


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_server_ends_when_its_supervisor_is_killed(server: Server) -> None:
    with closing(Reference(server)):
        (supervisor,) = supervisors(server)

        supervisor.kill()

        until(lambda: not processes(server))


def test_a_user_can_have_the_server_back_after_supervisor_and_server_were_killed(server: Server) -> None:
    with closing(Reference(server)) as reference:
        for process in (*supervisors(server), *processes(server)):
            with suppress(psutil.NoSuchProcess):  # the end of one may have taken it along
                process.kill()

        until(lambda: not processes(server) and not supervisors(server))

        reference.ensure()

        assert server.answers()
        assert len(supervisors(server)) == 1


def test_a_server_without_a_supervisor_is_replaced(server: Server) -> None:
    Reference(server).close()
    wait_until_stopped(server.home)
    server.prepare()
    account = server.account
    command = with_parent_death_signal(
        server.command(), signal.SIGINT, account=(account.uid, account.gid) if account else None
    )
    with subprocess.Popen(command, cwd=server.data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as orphan:
        until(server.answers)

        with closing(Reference(server)):
            assert main_process(server).pid != orphan.pid
            assert orphan.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("half_written", ["{pid}\n{data}\n1\n5432\n{sockets}\n\n1 2\nready\n", ""])
def test_stale_files_are_no_obstacle_and_the_process_they_name_is_left_alone(server: Server, half_written: str) -> None:
    Reference(server).close()
    wait_until_stopped(server.home)
    server.prepare()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        text = half_written.format(pid=innocent.pid, data=server.data, sockets=server.socket_directory)
        for stale in (server.data / "postmaster.pid", server.socket, Path(f"{server.socket}.lock")):
            stale.write_text(text)

        with closing(Reference(server)):
            assert server.answers()

        assert innocent.poll() is None
        innocent.kill()


def test_two_data_directories_have_servers_of_their_own(data_dir: Path) -> None:
    with temporary_data_dir() as elsewhere:
        one, other = Valkey(data_dir), Valkey(elsewhere)
        with closing(Reference(one)), closing(Reference(other)):
            assert main_process(one) != main_process(other)
            assert other.answers()


def test_a_server_that_cannot_start_says_why(postgres: Postgres) -> None:
    make_directory(postgres.home)
    postgres.prepare()
    vital, away = postgres.data / "global" / "pg_control", postgres.home / "pg_control"
    vital.rename(away)

    with pytest.raises(PdppError, match=r"(?s)postgres did not start.*could not find the database system"):
        Reference(postgres)

    away.rename(vital)


def test_a_server_without_room_for_another_client_answers_all_the_same(postgres: Postgres) -> None:
    url = postgres.url.replace("+psycopg", "")
    with closing(Reference(postgres)) as reference, ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            for _ in range(200):
                stack.enter_context(psycopg.connect(url))

        reference.ensure()

        with pytest.raises(psycopg.OperationalError, match=r"too many clients|connection slots are reserved"):
            psycopg.connect(url)


def test_a_log_is_put_aside_while_the_server_runs(server: Server) -> None:
    with closing(Reference(server)):
        os.truncate(server.log, 6_000_000)

        until(lambda: server.log.with_name("server.log.1").exists() and server.log.stat().st_size < 6_000_000)


def test_a_server_listens_on_no_network_port(server: Server) -> None:
    with closing(Reference(server)):
        assert [c for process in processes(server) for c in process.net_connections("inet")] == []


def test_a_server_sees_nothing_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_TEST_TOKEN", "secret")
    monkeypatch.setenv("PGPORT", "1")
    with closing(Reference(server)):
        environment = psutil.Process(main_process(server).pid).environ()

    assert "PDPP_TEST_TOKEN" not in environment
    assert "PGPORT" not in environment
