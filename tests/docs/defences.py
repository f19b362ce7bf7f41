"""Takes each defence of the threat model out of a copy of the code, and runs its test there, which has to fail.

python -m tests.docs.defences [WORD...]     those alone whose tests' names hold one of the words
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
LONGEST_S = 300.0
"""Time that a test without its defence may take; one that does not end has failed."""
_REAPER = ("sh", "-c", '"$@"; exit $?', "sh")
_APART = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *_REAPER) if os.geteuid() == 0 else ()
"""A test has processes of its own, which a shell reaps: without a defence, it could end others or leave some behind."""
_PASSED = 0
_COULD_NOT_RUN = (2, 3, 4, 5)
"""Exit codes of pytest that speak of no test."""


class Defence(NamedTuple):
    """An edit that takes a defence out of the code, and the test that fails then."""

    test: str
    test_file: str
    file: str
    old: str
    new: str


def rows() -> list[str]:
    """The rows of the page's table of threats."""
    threats = PAGE.partition("## Threats")[2].partition("\n## ")[0]
    return [line for line in threats.splitlines() if line.startswith("| ")][1:]


def named_tests(text: str) -> list[tuple[str, str]]:
    """The tests that a part of the page names, each with its file."""
    return [(name, file) for file, name in re.findall(r"`(tests/\S+?\.py)`: `(\w+)`", text)]


def defences() -> list[Defence]:
    """The table, in the page's order."""
    table = tomllib.loads((Path(__file__).parent / "defences.toml").read_text(encoding="utf-8"))
    return [Defence(name, file, **table[name]) for name, file in named_tests("\n".join(rows())) if name in table]


def main(words: Sequence[str]) -> int:
    """Try the defences; returns 1 if a test does not fail without its own."""
    chosen = [one for one in defences() if not words or any(word in one.test for word in words)]
    with tempfile.TemporaryDirectory(prefix="pdpp-defences-") as folder:
        copy = _copied(Path(folder))
        if _status(chosen, copy, LONGEST_S * len(chosen)) != _PASSED:
            sys.stdout.write("The tests do not pass as the code is.\n")
            return 1
        idle = [one for one in chosen if not _is_needed(one, copy)]
    for one in idle:
        sys.stdout.write(f"{one.test} does not fail without its defence in {one.file}\n")
    sys.stdout.write(f"{len(chosen) - len(idle)} of {len(chosen)} defences are held by their tests.\n")
    return 1 if idle else 0


def _copied(folder: Path) -> Path:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S607 - from the PATH
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    folder.chmod(0o755)  # programs of other users read it
    return folder


def _is_needed(one: Defence, copy: Path) -> bool:
    path = copy / one.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(one.old, one.new), encoding="utf-8")
    try:
        code = _status([one], copy, LONGEST_S)
    finally:
        path.write_text(before, encoding="utf-8")
    is_needed = code != _PASSED and code not in _COULD_NOT_RUN
    sys.stdout.write(f"{'needed' if is_needed else 'NOT NEEDED':<12}{one.test} ({code})\n")
    sys.stdout.flush()
    return is_needed


def _status(tried: Sequence[Defence], copy: Path, longest_s: float) -> int | None:
    """The exit code of pytest for these tests; None: it did not end."""
    files, names = sorted({one.test_file for one in tried}), " or ".join(one.test for one in tried)
    command = [*_APART, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files, f"-k={names}"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    running = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return running.wait(longest_s)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, 9)
        running.wait()
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
