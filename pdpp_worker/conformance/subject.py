"""Finds the connector to check, installed or in a directory, and the practice account that it brings."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Protocol

from pdpp_worker import registry
from pdpp_worker.added.added_connectors import is_added, load_here
from pdpp_worker.command.connector_user import accounts
from pdpp_worker.conformance.account import LivingAccount, LivingFactory, PracticeAccount
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import load_manifest
from pdpp_worker.registry import CommandConnector, Connector
from pdpp_worker.settings import get_settings

MANIFEST = "manifest.json"


class Subject(Protocol):
    """A connector and its practice account."""

    @property
    def connector(self) -> Connector:
        """The connector to check."""
        ...

    def open_account(self) -> AbstractContextManager[PracticeAccount]:
        """Its practice account; raises NotChecked if there is none."""
        ...

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        """Its living account, for the adversary; raises NotChecked if there is none."""
        ...


@dataclass(frozen=True)
class Packaged:
    """A connector whose practice account lies beside it."""

    connector: Connector
    as_fleet_user: bool = False
    """Whether its author is trusted with all that this user may do."""

    def open_account(self) -> AbstractContextManager[PracticeAccount]:
        """The practice account of the module `conformance` beside the manifest.

        Raises:
            NotChecked: there is none.
            ConfigurationError: it cannot be used.
        """
        try:
            made: AbstractContextManager[PracticeAccount] = self._accounts().open_account()
        except AttributeError as error:
            raise ConfigurationError(f"The practice account {self._path} cannot be used: {error}.") from error
        return made

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        """The living account of the same module.

        Raises:
            NotChecked: there is none.
            ConfigurationError: it cannot be used.
        """
        open_living: LivingFactory | None = getattr(self._accounts(), "open_living_account", None)
        if open_living is None:
            raise NotChecked("There is no living account: conformance.py defines no open_living_account(owner).")
        return open_living(owner)

    @property
    def _path(self) -> Path:
        return _folder(self.connector) / "conformance.py"

    def _accounts(self) -> ModuleType:
        if not self._path.exists():
            raise NotChecked(
                f"There is no practice account: {self._path.name} is missing beside the manifest. Where the connector "
                "reads files, --set and --secret name an account of your own."
            )
        if isinstance(self.connector, CommandConnector) and not self.as_fleet_user and accounts(get_settings()):
            raise ConfigurationError(
                f"The practice account {self._path} is code of the connector's author, and would run as you, with all "
                "that you may do. If you trust it, say --as-fleet-user."
            )
        try:
            return _module(self.connector, self._path)
        except ImportError as error:
            raise ConfigurationError(f"The practice account {self._path} cannot be used: {error}.") from error


def find(name: str, *, as_fleet_user: bool) -> Packaged:
    """The installed connector of that name, or the one in that directory.

    `as_fleet_user`: its author is trusted with all that this user may do, where its program is not run as another.

    Raises:
        NotFoundError: it is neither.
        ConfigurationError: its manifest is refused.
    """
    directory = Path(name)
    if directory.is_dir() and ("/" in name or name not in registry.all_connectors()):
        return Packaged(_from_directory(directory.resolve()), as_fleet_user)
    return Packaged(registry.get(name), as_fleet_user)


def _folder(connector: Connector) -> Path:
    if isinstance(connector, CommandConnector):
        return connector.folder
    spec = find_spec(connector.package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The connector package {connector.package} is not installed.")
    return Path(spec.submodule_search_locations[0])


def _module(connector: Connector, path: Path) -> ModuleType:
    """The module of the package; for a command, whose folder need not be one, the file by itself."""
    if not isinstance(connector, CommandConnector):
        return import_module(f"{connector.package}.{path.stem}")
    spec = spec_from_file_location(f"pdpp_account_of_{connector.manifest.name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no module")
    module = module_from_spec(spec)
    # A dataclass looks for its own module among those that are known.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _from_directory(directory: Path) -> Connector:
    """The connector whose manifest lies in the directory, or in the only folder of it that has one."""
    places = [directory] if (directory / MANIFEST).exists() else [one.parent for one in directory.glob(f"*/{MANIFEST}")]
    if len(places) != 1:
        raise ConfigurationError(
            f"{directory} holds {len(places)} connectors; name the directory with the one {MANIFEST}."
        )
    if is_added(places[0] / MANIFEST):
        manifest, folder = load_here(places[0] / MANIFEST)
        return CommandConnector(manifest, str(places[0]), folder)
    manifest = load_manifest(places[0] / MANIFEST)
    if manifest.command is not None:
        return CommandConnector(manifest, str(places[0]), places[0])
    return Connector(manifest, _importable(places[0]))


def _importable(folder: Path) -> str:
    """The package's full name, with the directory that holds it in the path."""
    parts, root = [folder.name], folder.parent
    while (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return ".".join(parts)
