"""Server supervisor: the process that owns one embedded server for as long as somebody uses it.

    python -m pdpp_worker.local.embedded.server_supervisor postgres|valkey DATA_DIR

Every user holds a shared lock on the server's `users.lock`. The supervisor tries for the exclusive one; once it has
it, nobody uses the server any more. The kernel keeps the count, so users that were killed are counted right.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pdpp_worker.local import locks
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.server import ENVIRONMENT, SUPERVISOR_LOCK, Server
from pdpp_worker.local.embedded.valkey import Valkey
from pdpp_worker.local.log_files import rotate
from pdpp_worker.local.parent_death import with_parent_death_signal

logger = logging.getLogger(__name__)

KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Postgres, Valkey)}
_LOOK_EVERY_S = 1.0
_STARTS = 5
_STARTS_WITHIN_S = 60.0
_STOP_S = 120.0
_LOG_BYTES = 5_000_000


class ServerSupervisor:
    """Runs a server, starts it again when it dies, and stops it when it is no longer used."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._starts: deque[float] = deque(maxlen=_STARTS)
        self._told_to_stop = False

    def run(self) -> int:
        """Keep the server until it is no longer used, this process is told to end, or the server keeps dying.

        Returns:
            The process's exit status.
        """
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        users: int | None = None
        child = self._start()
        while not self._told_to_stop and users is None:
            if child.poll() is not None:
                logger.error("%s ended with status %d", self._server.name, child.returncode)
                if self._dies_too_often():
                    return 1
                child = self._start()
            time.sleep(_LOOK_EVERY_S)
            rotate(self._server.log, _LOG_BYTES)
            users = locks.try_lock(self._server.home / "users.lock")
        # The users' lock stays held until this process is gone, so that nobody starts before the stop is complete.
        self._stop(child)
        return 0

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _start(self) -> subprocess.Popen[bytes]:
        self._server.clear()
        self._starts.append(time.monotonic())
        # SIGINT: PostgreSQL's fast shutdown, and Valkey's ordinary one.
        account = self._server.account
        command = with_parent_death_signal(
            self._server.command(), signal.SIGINT, (account.uid, account.gid) if account else None
        )
        return subprocess.Popen(
            command, cwd=self._server.data, env=ENVIRONMENT, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _dies_too_often(self) -> bool:
        return len(self._starts) == _STARTS and time.monotonic() - self._starts[0] < _STARTS_WITHIN_S

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            logger.exception("%s does not stop", self._server.name)
        self._server.clear()
        with suppress(OSError):
            self._server.socket_directory.rmdir()


def detach(log: Path) -> None:
    """Go on as a process of its own session that writes to `log`; the process that was started ends.

    File locks held go on with it.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, descriptor)
    os.close(nothing)
    os.close(output)


def main(kind: str, data_dir: str) -> int:
    """Become the supervisor of a server, unless it has one; returns the exit status."""
    server = KINDS[kind](Path(data_dir))
    if locks.try_lock(server.home / SUPERVISOR_LOCK) is None:
        return 0
    detach(server.log)
    logging.basicConfig(format="%(asctime)s supervisor %(levelname)s %(message)s", level=logging.INFO)
    try:
        return ServerSupervisor(server).run()
    except Exception:
        logger.exception("the supervisor of %s failed", server.name)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
