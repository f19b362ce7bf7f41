"""The slackdump program: started, watched and ended; its archive is never read while it writes.

It holds a lock on the archive for as long as any part of it lives, so that one that outlived its worker is noticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from connectors.slack.archive import FILE_NAME
from connectors.slack.completeness import ENTITY
from connectors.slack.errors import ArchiveError
from connectors.slack.slackdump_exit import BUSY, Exit

POLL_S = 2.0
"""Seconds between two signs of life of slackdump."""
GRACE_S = 5.0
"""From the request to stop until it is stopped by force."""
LOCK_NAME = ".pdpp-lock"
CACHE_NAME = ".slackdump-cache"
MAX_ENTITIES = 20_000
"""Most channels and threads that are named on one command line."""

SLOWEST_MS = 1200.0
"""Between two of its requests for messages, ms: 50 a minute, the least that its limits can be set to."""

# The rates that Slack publishes for each kind of method, and no burst. Boosts of 0 would be taken for unset.
LIMITS = """\
workers = 4
download_retries = 20
[tier_2]
boost = 1
burst = 1
retries = 20
[tier_3]
boost = 1
burst = 1
retries = 20
[tier_4]
boost = 1
burst = 1
retries = 20
[per_request]
conversations = 100
channels = 100
replies = 200
"""

_TAIL_BYTES = 64 * 1024
_NOT_STARTED = frozenset({126, 127})
"""Exit codes of `env` when it cannot start a program."""
_FAILED = re.compile(rf"channel ({ENTITY.pattern})\b")
_SIGN_IN = re.compile(r"invalid_auth|not_authed|token_revoked|token_expired|account_inactive|auth error", re.IGNORECASE)


@dataclass
class Slackdump:
    """The program on one archive; `token` and `cookie` None: it uses a login of its own."""

    program: str
    directory: Path
    stall_s: float
    token: str | None = None
    cookie: str | None = None
    result: Exit = field(default=Exit(None), init=False)
    """The end of the last call."""

    def archive(self, entities: Sequence[str] = (), *, member_only: bool) -> Iterator[None]:
        """Read these channels and threads whole, all channels if none is named; yields while that goes on."""
        options = ["-y", "-files=false", *(["-member-only"] if member_only and not entities else [])]
        return self._call(["archive", *options], ["-o", str(self.directory)], entities)

    def resume(self, entities: Sequence[str], *, lookback_days: int) -> Iterator[None]:
        """Go on in every channel from what is there, read new ones, and the named ones whole; `^` leaves one out."""
        options = ["-files=false", "-refresh", "-lookback", f"p{lookback_days}d"]
        return self._call(["resume", *options], [str(self.directory)], entities)

    def _call(self, command: list[str], target: list[str], entities: Sequence[str]) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            lock = stack.enter_context((self.directory / LOCK_NAME).open("a+"))
            if not _take(lock, fcntl.LOCK_EX):
                self._end_if_stalled(lock)
                self.result = Exit(None, busy=True)
                return
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pdpp-slackdump-")))
            login = self._login_options()
            if login and not self._login_mark.exists():
                yield from self._sign_in(login, scratch, lock)
                if not self.result.is_clean:
                    return
            limits = scratch / "limits.toml"
            limits.write_text(LIMITS)
            arguments = [*command, *login, "-api-config", str(limits), *target, *entities[:MAX_ENTITIES]]
            yield from self._run(arguments, scratch, lock)
            if self.result.signed_out:
                self._login_mark.unlink(missing_ok=True)

    def _sign_in(self, login: list[str], scratch: Path, lock: IO[str]) -> Iterator[None]:
        """Hand the credentials over in a file that only this user can read: a command line can be seen by others."""
        self._login_mark.parent.mkdir(mode=0o700, exist_ok=True)
        file = scratch / "login.env"
        file.touch(mode=0o600)
        file.write_text(f"SLACK_TOKEN={self.token}\nSLACK_COOKIE={self.cookie or ''}\n")
        yield from self._run(["workspace", "import", *login, str(file)], scratch, lock)
        if self.result.is_clean:
            self._login_mark.touch()

    @property
    def _login_mark(self) -> Path:
        return self.directory / CACHE_NAME / f"signed-in-{self._digest[:16]}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(f"{self.token}\n{self.cookie}".encode()).hexdigest()

    def _login_options(self) -> list[str]:
        """A cache of this archive's own, encrypted by what only somebody with the credentials can know."""
        if self.token is None:
            return []
        return ["-cache-dir", str(self.directory / CACHE_NAME), "-machine-id", self._digest]

    def _run(self, arguments: list[str], scratch: Path, lock: IO[str]) -> Iterator[None]:
        watch = _Watch(self.directory, self.stall_s)
        with (scratch / "stderr").open("w+b") as errors:
            process = _start([self.program, *arguments], scratch, errors, lock)
            try:
                yield from watch.until_ended(process)
            finally:
                # A slice may end here as well: what is in the archive stays, and the next slice resumes it.
                _stop(process)
            said = _tail(errors)
        code = process.returncode if process.returncode not in _NOT_STARTED else None
        failed = _FAILED.findall(said)
        signed_out = code not in (0, None) and _SIGN_IN.search(said) is not None
        part = failed[-1] if failed else None
        self.result = Exit(code, stalled=watch.stalled, failed_part=part, signed_out=signed_out)

    def _end_if_stalled(self, lock: IO[str]) -> None:
        """One that outlived its worker has nobody to watch it."""
        lock.seek(0)
        pid, _, born = lock.read().partition(" ")
        if not pid.isdecimal() or not born or born != _born(int(pid)):
            return  # Its number may be another program's by now.
        if time.time() - _last_growth(self.directory) > self.stall_s:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(pid), signal.SIGKILL)


class _Watch:
    """Bounds slackdump's silence, not its duration: a first archive of many years takes many hours."""

    def __init__(self, directory: Path, stall_s: float) -> None:
        self._directory = directory
        self._stall_s = stall_s
        self.stalled = False

    def until_ended(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Yield while the process runs and its archive grows."""
        seen, since = _sizes(self._directory), time.monotonic()
        while True:
            try:
                process.wait(min(POLL_S, self._stall_s))
            except subprocess.TimeoutExpired:
                yield
            else:
                return
            if (now := _sizes(self._directory)) != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since >= self._stall_s:
                self.stalled = True
                return


def find(program: str) -> str | None:
    """The program's path, or None where it is not installed."""
    return shutil.which(str(Path(program).expanduser()))


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """Keep every program that a worker started from writing to the archive while the block lasts.

    Raises:
        ArchiveError: something does already.
    """
    try:
        lock = (directory / LOCK_NAME).open("a+")
    except OSError:
        # Where no lock can be made, no worker can have started anything.
        yield
        return
    with lock:
        if not _take(lock, fcntl.LOCK_SH):
            raise ArchiveError(BUSY)
        yield


def size(directory: Path) -> int:
    """The size of the archive by now, bytes."""
    return sum(size for size, _ in _sizes(directory))


def _start(command: list[str], scratch: Path, errors: IO[bytes], lock: IO[str]) -> subprocess.Popen[bytes]:
    # slackdump would look for a workspace of that very name. Its words go to a file: a full pipe would stop it.
    process = subprocess.Popen(
        ["/usr/bin/env", "-u", "SLACK_WORKSPACE", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        cwd=scratch,
        start_new_session=True,
        pass_fds=[lock.fileno()],
    )
    lock.truncate(0)
    lock.write(f"{process.pid} {_born(process.pid)}")
    lock.flush()
    return process


def _born(pid: int) -> str:
    """The time at which a process began, in the system's own ticks; empty where there is none, or no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, then make it and all that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _take(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sizes(directory: Path) -> list[tuple[int, int]]:
    found = []
    for name in ("", "-wal", "-shm"):
        with suppress(OSError):
            stat = (directory / f"{FILE_NAME}{name}").stat()
            found.append((stat.st_size, stat.st_mtime_ns))
    return found


def _last_growth(directory: Path) -> float:
    """The time at which the archive, or else its lock, was last written to, Unix seconds."""
    times = [changed for _, changed in _sizes(directory)] or [(directory / LOCK_NAME).stat().st_mtime_ns]
    return max(times) / 1e9


def _tail(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return errors.read().decode(errors="replace")
