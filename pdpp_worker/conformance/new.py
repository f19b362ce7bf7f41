"""Writes the beginning of a connector: a package of its own with a manifest, code, a practice account and a test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pdpp_worker.conformance import skeleton
from pdpp_worker.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SAMPLE = "sample_notes"
PYTHON, COMMAND = "python", "command"
_HERE = Path(skeleton.__file__).parent


def write(name: str, directory: Path, language: str) -> list[Path]:
    """Write a connector named `name`, in Python or as a `command`, below the directory; returns the files.

    Raises:
        ConfigurationError: the name is none, or a file is there already.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is no connector's name; use small letters, digits and _, a letter first.")
    files = list(_files(name, directory, language))
    if there := [path for path, _ in files if path.exists()]:
        raise ConfigurationError(f"{there[0]} is there already; name another directory.")
    for path, content in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return [path for path, _ in files]


def _files(name: str, directory: Path, language: str) -> Iterator[tuple[Path, str]]:
    root = _HERE / language
    if language == COMMAND:
        # The practice account is in Python whatever the connector is written in.
        account = _HERE / PYTHON / "package" / "conformance.py"
        yield directory / account.name, _renamed(account.read_text(encoding="utf-8"), name)
    for source in sorted(root.rglob("*")):
        relative = source.relative_to(root)
        if source.is_dir() or relative == Path("__init__.py") or "__pycache__" in relative.parts:
            continue
        place = Path(*(f"pdpp_{name}" if part == "package" else part for part in relative.parts))
        yield directory / place, _renamed(source.read_text(encoding="utf-8"), name)


def _renamed(text: str, name: str) -> str:
    for form in ("_", "-", " "):
        text = text.replace(_SAMPLE.replace("_", form), name.replace("_", form))
    return text.replace("Sample notes", name.replace("_", " ").capitalize())
