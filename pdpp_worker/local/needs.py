"""When a process is needed that does not run all the time."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pdpp_worker.local import locks

_FOLDER = "requests"


def request(data_dir: Path, name: str) -> None:
    """Ask the fleet of this data directory, should one run, for the process called `name`; again while it is in use."""
    with suppress(FileNotFoundError):
        (data_dir / _FOLDER / name).touch(mode=0o600)


def request_file(data_dir: Path, name: str) -> Path:
    """The file whose time is that of the last request for a process; makes its folder."""
    folder = data_dir / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / name


@dataclass(frozen=True)
class OnRequest:
    """Needed once it is asked for, or somebody connects, until nobody has asked for `idle_s` seconds."""

    file: str
    idle_s: float
    socket: int | None = None
    """Descriptor of a listening socket, which the process takes over while it runs."""
    look_every_s: ClassVar[float] = 0.0
    """Least time between two looks whether it arises, s: somebody waits for the process."""

    def arises(self) -> bool:
        """Whether a process that does not run is needed."""
        if self.socket is None:
            return Path(self.file).exists()
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_over(self, ran_s: float) -> bool:
        """Whether a process that has run for so long is no longer needed; then the last request is removed."""
        if ran_s < self.idle_s:
            return False
        taken = Path(f"{self.file}.taken")
        with suppress(FileNotFoundError):
            if time.time() - Path(self.file).stat().st_mtime < self.idle_s:
                return False
            # A request of this very moment is not lost: it changes the time of what was moved, or makes the file anew.
            Path(self.file).rename(taken)
            if time.time() - taken.stat().st_mtime < self.idle_s:
                taken.rename(self.file)
                return False
            taken.unlink()
        return True


@dataclass(frozen=True)
class OnLoss:
    """Needed while an embedded server has no supervisor: the process starts one, and ends."""

    supervisor_lock: str
    start_lock: str
    look_every_s: ClassVar[float] = 2.0

    def arises(self) -> bool:
        """Whether there is none, and nobody starts one; the question locks for a moment."""
        starting = locks.try_lock(Path(self.start_lock))
        if starting is None:
            return False
        try:
            return not locks.is_locked(Path(self.supervisor_lock))
        finally:
            os.close(starting)

    def is_over(self, _: float) -> bool:
        """Never: it ends by itself."""
        return False


Need = OnRequest | OnLoss
