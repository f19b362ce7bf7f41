"""Decides whether a connector's program runs as a user of its own: only one that reaches all that the program needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdpp_worker.command import reach
from pdpp_worker.command.connector_user import Account, accounts
from pdpp_worker.command.environment import PACKAGES, PYTHON
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.privileges import handed_on
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings

_REACH_S = 60.0
LONGEST_PATH = 4096
"""Characters of a path that a system opens."""
_PATHS = ("path", "file")
_NO_MEANS = "the fleet is not root, and may start no program as another user"


@dataclass(frozen=True)
class Separation:
    """The accounts of which a program runs as one; none: it runs as the fleet's own user."""

    accounts: Sequence[Account]
    paths: Sequence[str] = ()
    """Absolute paths that it is to reach."""
    why_not: str = ""
    """Why there is no account, as the end of a sentence."""


@dataclass(frozen=True)
class Needs:
    """A program, and what it works with: a connection's settings, defaults among them, and its files."""

    manifest: Manifest
    folder: Path
    command: Sequence[str]
    values: Mapping[str, Any]
    files: Path


def separation(settings: Settings, needs: Needs, *, as_fleet_user: bool) -> Separation:
    """The separation of a program. `as_fleet_user`: its owner lets it run as that one where another cannot run it.

    Raises:
        ConfigurationError: no other user can run it, and its owner does not let the fleet's, or has set
            `PDPP_CONNECTOR_USER`.
    """
    found = accounts(settings)
    if not found:
        return Separation((), why_not="the fleet's own user is to run it" if settings.connector_user else _NO_MEANS)
    given = [*_home(settings, needs), *_given([needs.values, *_definitions(needs.folder, needs.command)])]
    # Only its owner opens a closed directory to it: a manifest or a definition would name what it likes.
    shown = given if as_fleet_user else list(_given(_owners(needs)))
    started = [needs.command[0], *_tools(needs.folder, needs.command)]
    there = _nearest(needs.files)
    paths = [*_programs(needs.manifest, started), str(needs.folder), str(there), *(path for _, path in shown)]
    paths = [path for path in paths if Path(path).exists()]
    asked = [
        *_read_first(needs.manifest, needs.folder, needs.command),
        *(f"read:{tool}" for tool in started),
        *(f"{how}:{path}" for how, path in given),
        f"enter:{there.parent}",
    ]
    obstacle = _obstacle(found[0], needs.folder, paths, asked)
    if obstacle is None:
        return Separation(found, paths)
    if settings.connector_user is None and as_fleet_user:
        return Separation((), why_not=f"another user {obstacle}")
    raise ConfigurationError(_refusal(settings, needs.manifest, found[0], obstacle))


def _refusal(settings: Settings, manifest: Manifest, account: Account, obstacle: str) -> str:
    if settings.connector_user is not None:
        return (
            f"The {account} (PDPP_CONNECTOR_USER) {obstacle}, which the connector {manifest.name} needs; let others "
            "read it, or move it where they can."
        )
    return (
        f"The connector {manifest.name} is a program and runs as a user of its own, which {obstacle}. Let others read "
        "it, or move it where they can. If you trust the program with all that the fleet's user may read, let it run "
        "as that one: connection add and set, connector check and singer take --as-fleet-user."
    )


def _owners(needs: Needs) -> dict[str, Any]:
    """The settings that are not the manifest's defaults."""
    specs = needs.manifest.settings
    defaults = {name: str(spec.default) for name, spec in specs.items()}
    filled_in = {name: {text, str(Path(text).expanduser())} for name, text in defaults.items()}
    return {name: value for name, value in needs.values.items() if str(value) not in filled_in.get(name, ())}


def _definitions(folder: Path, command: Sequence[str]) -> Iterator[Any]:
    """The definitions that the program is given as files of JSON, such as that of a tap."""
    for argument in command[1:]:
        file = folder / argument
        if file.suffix == ".json" and file.is_file():
            with suppress(OSError, ValueError):
                yield json.loads(file.read_bytes())


def _tools(folder: Path, command: Sequence[str]) -> Iterator[str]:
    """The programs that such a definition names as its tap."""
    for definition in _definitions(folder, command):
        tap = definition.get("tap") if isinstance(definition, dict) else None
        found = shutil.which(str(tap[0])) if isinstance(tap, list) and tap else None
        if found is not None:
            yield found


def _programs(manifest: Manifest, started: Sequence[str]) -> Iterator[str]:
    """The programs, each with what it was installed with, unless that is a whole home."""
    if manifest.command is not None and manifest.command[0] == PYTHON:
        yield from (sys.prefix, sys.base_prefix, str(PACKAGES / "pdpp_worker"))
    for place in {place for program in started for place in (Path(program), Path(program).resolve())}:
        installed = place.parent.parent
        yield str(installed if len(installed.parts) > 2 and installed != Path.home() else place)


def _read_first(manifest: Manifest, folder: Path, command: Sequence[str]) -> Iterator[str]:
    """The files that are read when the program starts, as far as they are known and there."""
    yield from ("read:.", f"read:{command[0]}")
    if manifest.command is not None and manifest.command[0] == PYTHON:
        yield f"read:{PACKAGES / 'pdpp_worker' / '__init__.py'}"
    yield from (f"read:{argument}" for argument in command[1:] if (folder / argument).exists())


def _home(settings: Settings, needs: Needs) -> Iterator[tuple[str, str]]:
    """The owner's home, where it reads files and its owner has not said which."""
    specs = needs.manifest.settings
    named = (name for name, value in _owners(needs).items() if value and name in specs and specs[name].type in _PATHS)
    if "filesystem" in needs.manifest.bindings and not any(named):
        yield "read", settings.platform_environment().get("HOME", os.sep)


def _given(values: Any) -> Iterator[tuple[str, str]]:
    """The owner's own files that are named, all below them included."""
    # Of whatever type: a tap knows a file of keys as a text in its configuration.
    yield from (("all", str(path)) for path in map(_path, _texts(values)) if path is not None)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        inner = value.values() if isinstance(value, Mapping) else value
        yield from (text for each in inner for text in _texts(each))


def _path(text: str) -> Path | None:
    """The file or directory that an absolute path names; None: it is no such path, or nothing is there."""
    if not text.startswith(("/", "~/")) or "\0" in text or len(text) > LONGEST_PATH:
        return None
    path = Path(text).expanduser()
    # A text such as "/" or "/root" is hardly meant as everything below it.
    return path if os.access(path, os.F_OK) and len(path.parts) > 2 else None


def _nearest(files: Path) -> Path:
    """The connection's own directory, or the nearest above it that is there."""
    return next(path for path in (files, *files.parents) if path.exists())


def _obstacle(account: Account, folder: Path, paths: Sequence[str], asked: Sequence[str]) -> str | None:
    """Why the program cannot be run as the account, as the end of a sentence; relative paths begin in `folder`."""
    with handed_on():
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                reach.__file__,
                account.identity,
                str(folder),
                str(len(paths)),
                *paths,
                *asked,
            ],
            cwd=os.sep,
            env={"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_REACH_S,
            check=False,
        )
    if done.returncode == reach.BARRED:
        return f"cannot read {folder / done.stdout.strip()}"
    if done.returncode:
        return f"cannot run anything ({done.stderr.strip().rpartition(chr(10))[2]})"
    return None
