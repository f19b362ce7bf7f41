"""A practice account of files: who opens which is seen, and files fail, by the interpreter's audit hook.

So a fault hits whoever may read every file, too. Only this process is seen: a connector that is a program of its own
needs another practice account.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EIO
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from pdpp_worker.conformance.account import Fault, PracticeAccount, Request

_LISTS = ("os.listdir", "os.scandir")
_watching: list[FileAccount] = []


class FileAccount(PracticeAccount):
    """A directory whose files are the resources, by their names below `base`, a folder of it."""

    faults = frozenset({Fault.FAILING, Fault.GARBLED, Fault.GONE})
    garbage = b"\x00 this is no document\n"
    """The content of a garbled file."""
    lists_count = True
    """Whether listing a directory is a request, as searching a large tree is; else only what is opened counts."""

    def __init__(self, directory: Path, base: str = "") -> None:
        self.directory = directory
        self.base = directory / base
        self._requests: list[Request] = []
        self._failing: frozenset[Path] = frozenset()
        self._kept: dict[Path, tuple[bytes, os.stat_result]] = {}
        self._lent: list[Path] = []

    def write(self, name: str, content: bytes) -> None:
        """Append to a file, which is made if it is not there."""
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    def lend(self, name: str, content: bytes) -> None:
        """Write a file that is gone again with `restore`."""
        self._lent.append((self.base / name).resolve())
        self.write(name, content)

    def requests(self) -> Sequence[Request]:
        """Files that were opened and directories that were listed."""
        return self._requests

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Let files not open, hold garbage, or be gone."""
        paths = [self.base / name for name in resources]
        if fault is Fault.FAILING:
            self._failing = frozenset(paths)
            return
        for path in paths:
            self._kept[path] = path.read_bytes(), path.stat()
            if fault is Fault.GONE:
                path.unlink()
            else:
                path.write_bytes(self.garbage)

    def restore(self) -> None:
        """Put every file back as it was."""
        self._failing = frozenset()
        for path, (content, stat) in self._kept.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for path in self._lent:
            path.unlink()
            with suppress(OSError):  # a directory that holds more stays
                path.parent.rmdir()
        self._kept, self._lent = {}, []

    def look(self, event: str, place: Path) -> None:
        """Take down what is asked of the directory.

        Raises:
            OSError: the file is failing.
        """
        if not place.is_relative_to(self.directory):
            return
        name = place.relative_to(self.base if place.is_relative_to(self.base) else self.directory).as_posix()
        is_list = event in _LISTS
        if self.lists_count or not is_list:
            self._requests.append(Request(f"{event} {name}", frozenset() if is_list else frozenset({name})))
        if place in self._failing:
            raise OSError(EIO, os.strerror(EIO))


Made = TypeVar("Made", bound=FileAccount)


@contextmanager
def watched(make: Callable[[Path], Made]) -> Iterator[Made]:
    """A practice account in a directory of its own, while it is there."""
    _listen()
    with TemporaryDirectory(prefix="pdpp-practice-") as directory:
        account = make(Path(directory).resolve())
        _watching.append(account)
        try:
            yield account
        finally:
            _watching.remove(account)


@lru_cache(maxsize=1)
def _listen() -> None:
    """Once a process: an audit hook cannot be taken back."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or (event != "open" and event not in _LISTS):
        return
    if isinstance(arguments[0], str | bytes | os.PathLike):
        for account in _watching:
            account.look(event, Path(os.fsdecode(arguments[0])))
