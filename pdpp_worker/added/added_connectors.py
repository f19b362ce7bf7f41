"""Adds, updates and removes connectors in the profile's form, in the directory of the owner's own connectors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdpp_worker.added.added_program import Program, find_program, read_program
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.protocol.manifest import Manifest, read_json
from pdpp_worker.protocol.profile.mapping import Mapped, is_profile_form, map_manifest

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Added:
    """A connector that was added or updated."""

    manifest: Manifest
    program: Program
    unmapped: list[str]
    before: Manifest | None
    """The manifest before the update."""


@dataclass(frozen=True)
class Asked:
    """The owner's words about a connector to be added, beyond its manifest."""

    command: Sequence[str] = ()
    """Its program; empty: the one that lies where the reference ones do."""
    variables: Sequence[str] = ()
    """Variables that it reads and its manifest does not name."""
    name: str = ""
    """Its name here; empty: as its manifest has it."""


def add(path: Path, asked: Asked, directory: Path, taken: Sequence[str]) -> Added:
    """Take the connector at `path`, its folder or its manifest. `taken`: names that other connectors have.

    Raises:
        ConfigurationError: its manifest cannot be mapped, its program is not found, or its name is taken.
    """
    source = manifest_at(path)
    program = find_program(source, asked.command, asked.variables).model_copy(update={"name": asked.name})
    mapped = _map(source, program)
    name = mapped.manifest.name
    folder = directory / name
    if read_program(folder) is not None:
        raise ConfigurationError(f"There is a connector {name} already; see: pdpp-worker connector update {name}")
    if name in taken or folder.exists():
        raise ConfigurationError(f"There is another connector {name}; give this one another name with --name.")
    return _write(source, program, mapped, folder, None)


def update(name: str, path: Path | None, command: Sequence[str], variables: Sequence[str], directory: Path) -> Added:
    """Take the manifest of an added connector anew, from where it came or from another place.

    Raises:
        NotFoundError: no connector of that name was added.
        ConfigurationError: the manifest is of another connector, or cannot be mapped.
    """
    folder = directory / name
    before = _added(folder, name)
    source = manifest_at(Path(before.source) if path is None else path)
    named = list(command) or ([] if path is not None else before.command)
    moved = find_program(source, named, list(variables) or before.variables)
    kept = {"variables": moved.variables}
    program = moved.model_copy(update={"name": before.name}) if command or path else before.model_copy(update=kept)
    mapped, old = _map(source, program), _map(folder / MANIFEST, before)
    if mapped.manifest.name != name:
        raise ConfigurationError(f"{source} is the manifest of {mapped.manifest.name}, not of {name}.")
    return _write(source, program, mapped, folder, old.manifest)


def remove(name: str, directory: Path) -> None:
    """Remove an added connector; its program stays where it is.

    Raises:
        NotFoundError: no connector of that name was added.
    """
    folder = directory / name
    _added(folder, name)
    shutil.rmtree(folder)


def load_added(manifest: Path) -> tuple[Manifest, Path]:
    """Our manifest of an added connector, and the folder in which its program is run.

    Raises:
        ConfigurationError: it was not added, or its manifest cannot be mapped.
    """
    program = read_program(manifest.parent)
    if program is None:
        why = f"The manifest {manifest} is in the profile's form and names no program"
        raise ConfigurationError(f"{why}; add it with: pdpp-worker connector add {manifest.parent}")
    return _map(manifest, program).manifest, Path(program.folder)


def load_here(manifest: Path) -> tuple[Manifest, Path]:
    """Our manifest of a connector as its author has it, whose program lies beside it, and where that is run.

    Raises:
        ConfigurationError: its program is not found, or its manifest cannot be mapped.
    """
    program = read_program(manifest.parent) or find_program(manifest, [], [])
    return _map(manifest, program).manifest, Path(program.folder)


def is_added(manifest: Path) -> bool:
    """Whether a manifest is in the profile's form; one that cannot be read is not."""
    try:
        return is_profile_form(read_json(manifest))
    except (OSError, ValueError):
        return False


def manifest_at(path: Path) -> Path:
    """The manifest at a path: itself, or the only one in a folder.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    place = path.expanduser().absolute()
    if place.is_file():
        return place
    if (place / MANIFEST).is_file():
        return place / MANIFEST
    found = [one for one in sorted(place.glob("*.json")) if is_added(one)]
    if len(found) != 1:
        raise ConfigurationError(f"{place} holds {len(found)} manifests in the profile's form; name the file.")
    return found[0]


def _added(folder: Path, name: str) -> Program:
    program = read_program(folder)
    if program is None:
        raise NotFoundError(f"No connector named {name!r} was added; see: pdpp-worker connectors")
    return program


def _map(source: Path, program: Program) -> Mapped:
    try:
        return map_manifest(_read(source), program.command, program.variables, program.name)
    except ConfigurationError as error:
        raise ConfigurationError(f"The manifest {source} is refused: {error}") from None


def _read(source: Path) -> dict[str, Any]:
    try:
        given = read_json(source)
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigurationError("it is not JSON.") from None
    if not is_profile_form(given):
        raise ConfigurationError("it has no connector_id, so it is not in the profile's form.")
    return given  # type: ignore[no-any-return]


def _write(source: Path, program: Program, mapped: Mapped, folder: Path, before: Manifest | None) -> Added:
    """Write the folder; the manifest last, for with it the connector is there."""
    content = source.read_bytes()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    program.write(folder)
    (folder / MANIFEST).write_bytes(content)
    return Added(mapped.manifest, program, mapped.unmapped, before)
