"""A living account of files: what the owner's directory holds, in memory, until the adversary writes it down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pdpp_worker.conformance.account import LivingAccount
from pdpp_worker.conformance.adversary.lies import Lie


class Kept(NamedTuple):
    """A file's content and the time of its last change (seconds since 1970)."""

    content: bytes
    changed_at: float


class LivingFiles(LivingAccount):
    """A directory by its files. Settings point into `directory`, where the adversary lays them, or what it likes."""

    lies: frozenset[Lie] = frozenset(
        {Lie.SHORT, Lie.EMPTY, Lie.REPEATED, Lie.STALE, Lie.MISPLACED, Lie.CUT, Lie.REFUSED, Lie.CONTRADICTORY}
    )
    """The lies that can be told of such files. A connector that knows a file by its place alone can be spared moved
    files (MISPLACED) and copies (REPEATED), which it may take for others."""

    def __init__(self, directory: Path, began_at: float) -> None:
        """`began_at`: the time of the first change; each later one is a minute after the one before."""
        self.directory = directory
        self.files: dict[str, Kept] = {}
        """By their names below the directory."""
        self._clock = began_at

    def write(self, name: str, content: bytes, *, append: bool = False) -> None:
        """Write a file, or append to it."""
        self._clock += 60
        before = self.files[name].content if append and name in self.files else b""
        self.files[name] = Kept(before + content, self._clock)

    def move(self, name: str, other: str) -> None:
        """Give a file another name."""
        self.files[other] = self.files.pop(name)


@contextmanager
def a_directory() -> Iterator[Path]:
    """A directory for the files, while it is there."""
    with TemporaryDirectory(prefix="pdpp-living-") as directory:
        yield Path(directory).resolve()
