"""Install pinned requirements, and show how far that is: `python requirements/install.py FILE`.

It needs the standard library alone. pip itself says a lot while it fetches and nothing while it unpacks.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import time
from collections import deque
from pathlib import Path

_PINNED = re.compile(r"^[\w.-]+==", re.MULTILINE)
_FETCHED = re.compile(r"(?:Collecting|Processing|Requirement already satisfied:) (\S+)")
_SAY_EVERY_S = 2.0
"""Where the output is a log, a line is written so often; on a terminal one line is written anew."""
_LOOK_EVERY_S = 0.2
_KEPT_LINES = 40


class Progress:
    """Shows how much of an installation is done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said_at = self._began - _SAY_EVERY_S
        self._on_terminal = sys.stdout.isatty()

    def show(self, doing: str, number: int, of: int, name: str = "") -> None:
        """Show how many are done; in a log not each of them."""
        line = f"  {doing} {number} of {of}{f': {name}' if name else ''}"
        now = time.monotonic()
        if self._on_terminal:
            sys.stdout.write(f"\r\x1b[K{line}")
        elif now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def end(self, sentence: str) -> None:
        """Leave a sentence in the place of all that."""
        clear = "\r\x1b[K" if self._on_terminal else ""
        sys.stdout.write(f"{clear}  {sentence} in {time.monotonic() - self._began:.0f} s\n")


def main(requirements: Path) -> int:
    """Install what a file of requirements with hashes names; returns pip's exit code."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar=off"]
    command += ["--require-hashes", "--requirement", str(requirements)]
    before = _installed()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        progress, said = Progress(), deque[str](maxlen=_KEPT_LINES)
        new = _fetch(pip, progress, said, len(_PINNED.findall(requirements.read_text(encoding="utf-8"))))
        _unpack(pip, progress, new, before)
        said.extend(pip.stdout or ())
    if pip.returncode:
        progress.end("Failed")
        sys.stderr.writelines(said)
    else:
        progress.end(f"{new} packages" if new else "Nothing to install")
    return pip.returncode


def _fetch(pip: subprocess.Popen[str], progress: Progress, said: deque[str], of: int) -> int:
    """Follow pip until it begins to unpack, or ends; returns how many packages it unpacks."""
    number = 0
    for line in pip.stdout or ():
        said.append(line)
        if line.startswith("Ignoring "):  # it is for another system
            of -= 1
        elif found := _FETCHED.match(line):
            number += 1
            progress.show("Fetching", number, of, found[1])
        elif line.startswith("WARNING: Retrying"):
            sys.stdout.write(line)
        elif line.startswith("Installing collected packages: "):
            return line.count(",") + 1
    return 0


def _unpack(pip: subprocess.Popen[str], progress: Progress, of: int, before: int) -> None:
    """Watch how many packages are there beyond those of before, until pip ends."""
    while of and pip.poll() is None:
        progress.show("Unpacking", min(of, max(0, _installed() - before)), of)
        time.sleep(_LOOK_EVERY_S)


def _installed() -> int:
    return sum(1 for _ in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
