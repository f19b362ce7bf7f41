"""Which connector is checked: an installed one by its name, or one in a directory; and the world that it brings."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from pdpp_worker import registry
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.conformance.world import World
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import load_manifest
from pdpp_worker.registry import Connector

MANIFEST = "manifest.json"


class Subject(Protocol):
    """A connector and its world."""

    @property
    def connector(self) -> Connector:
        """What is checked."""
        ...

    def world(self) -> AbstractContextManager[World]:
        """What it is checked in; raises NotChecked if there is none."""
        ...


@dataclass(frozen=True)
class Packaged:
    """A connector whose world lies beside it."""

    connector: Connector

    def world(self) -> AbstractContextManager[World]:
        """The world that the connector brings.

        Raises:
            NotChecked: it brings none.
            ConfigurationError: its module cannot be used.
        """
        module = f"{self.connector.package}.conformance"
        if find_spec(module) is None:
            raise NotChecked(f"There is no practice world: {module} is missing. See docs/writing-connectors.md.")
        try:
            made: AbstractContextManager[World] = import_module(module).world()
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(f"The practice world {module} cannot be used: {error}.") from error
        return made


def find(name: str) -> Packaged:
    """The installed connector of that name, or the one in that directory.

    Raises:
        NotFoundError: it is neither.
        ConfigurationError: its manifest is refused.
    """
    directory = Path(name)
    if directory.is_dir() and ("/" in name or not _is_installed(name)):
        return Packaged(_from_directory(directory.resolve()))
    return Packaged(registry.get(name))


def _is_installed(name: str) -> bool:
    return name in registry.all_connectors()


def _from_directory(directory: Path) -> Connector:
    """The connector whose manifest lies in the directory, or in the only folder of it that has one."""
    places = [directory] if (directory / MANIFEST).exists() else [one.parent for one in directory.glob(f"*/{MANIFEST}")]
    if len(places) != 1:
        raise ConfigurationError(
            f"{directory} holds {len(places)} connectors; name the directory with the one {MANIFEST}."
        )
    folder = places[0]
    manifest = load_manifest(folder / MANIFEST)
    parts = [folder.name]
    root = folder.parent
    while (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return Connector(manifest, ".".join(parts))
