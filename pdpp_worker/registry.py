"""Finds connectors.

The folders of `connectors/`, what packages offer as `pdpp.connectors`, and the owner's own: the folders of
`PDPP_CONNECTORS_DIR`, whose manifests name a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.settings import Settings, connectors_with_ceilings, get_settings, nearest, unknown_variables

if TYPE_CHECKING:  # most processes ask for manifests alone; what runs a connector is imported where one is run
    from pdpp_worker.connector import Check, Collect, OpenAhead

ENTRY_POINT_GROUP = "pdpp.connectors"
_BUILT_IN = "connectors"


@dataclass(frozen=True)
class Connector:
    """A connector that can be run."""

    manifest: Manifest
    package: str

    def load(self) -> Collect:
        """Import the connector's code.

        Raises:
            ConfigurationError: it cannot be imported, or defines no `collect`.
        """
        with self._loading():
            collect: Collect = import_module(f"{self.package}.connector").collect
        return collect

    def check(self) -> Check | None:
        """The connector's function that tries an account; None: it has none.

        Raises:
            ConfigurationError: its code cannot be imported.
        """
        with self._loading():
            return getattr(self.module("connector"), "check", None)

    def open_ahead(self) -> OpenAhead | None:
        """The connector's function that opens what its slice works with; None: it has none.

        Raises:
            ConfigurationError: its code cannot be imported.
        """
        with self._loading():
            return getattr(self.module("connector"), "open_ahead", None)

    @contextmanager
    def _loading(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            why = str(error) if isinstance(error, ImportError | AttributeError) else _in_words(error)
            raise ConfigurationError(
                f"The connector {self.manifest.name} cannot be loaded from {self.package}.connector: {why}."
            ) from error

    def view(self, stream: str) -> str | None:
        """The SQL that computes a stream from the records of others; None for a stream that is collected.

        Raises:
            ConfigurationError: the file that the manifest names cannot be read.
        """
        declared = self.manifest.stream(stream)
        if declared is None or declared.view is None:
            return None
        path = _folder(self.package) / declared.view
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"The view {path} cannot be read: {error.strerror}.") from None

    def module(self, name: str) -> ModuleType | None:
        """A module of the connector's package, such as `practice.demo`; None where the package has none.

        Raises:
            ImportError: it is there and cannot be imported.
        """
        full = f"{self.package}.{name}"
        try:
            return import_module(full) if find_spec(full) is not None else None
        except ModuleNotFoundError as error:
            if error.name is None or not full.startswith(error.name):
                raise
            return None


@dataclass(frozen=True)
class CommandConnector(Connector):
    """A connector of any language: the command of the manifest in `folder`."""

    folder: Path

    def load(self) -> Collect:
        """The function that runs the command."""
        from pdpp_worker.command.collect import collector

        return collector(self.manifest, self.folder)

    def check(self) -> Check | None:
        """The function that asks a Singer tap for its catalog; None: the profile has no such question."""
        from pdpp_worker.singer.tap_check import checker

        return checker(self.manifest, self.folder)

    def open_ahead(self) -> None:
        """None: a command opens everything by itself."""


def get(name: str) -> Connector:
    """The connector of that name.

    Raises:
        NotFoundError: naming those that exist.
        ConfigurationError: it is refused; says why.
    """
    found = all_connectors()
    if name not in found:  # a package that came since this process looked
        invalidate_caches()
        _packaged.cache_clear()
        found = all_connectors()
    if name not in found and name in (refused := refused_connectors()):
        raise ConfigurationError(refused[name])
    if name not in found:
        raise NotFoundError(f"There is no connector named {name!r}; known: {', '.join(sorted(found))}.")
    return found[name]


def all_connectors() -> dict[str, Connector]:
    """Every connector by name, but for those that are refused."""
    own = {one.manifest.name: one for one in _own_connectors() if isinstance(one, Connector)}
    return {**own, **packaged_connectors()}


def refused_connectors() -> dict[str, str]:
    """Name of a folder or an installed package to why its connector is refused. One that is wrong stops no other."""
    return {one.name: one.why for one in (*_packaged(), *_own_connectors()) if isinstance(one, _Refused)}


def packaged_connectors() -> dict[str, Connector]:
    """The connectors that are installed with the program or as packages, by name, but for those that are refused."""
    return {one.manifest.name: one for one in _packaged() if isinstance(one, Connector)}


@lru_cache(maxsize=1)
def _packaged() -> tuple[Connector | _Refused, ...]:
    points = [(point.name, point.value) for point in entry_points(group=ENTRY_POINT_GROUP)]
    found: dict[str, Connector] = {}
    refused: list[_Refused] = []
    for name, package in (*_built_in_packages(), *points):
        one = _packaged_connector(name, package)
        if isinstance(one, Connector) and (first := found.setdefault(one.manifest.name, one)) is not one:
            one = _Refused(package, _two_of_one_name(one.manifest.name, first.package, package))
        if isinstance(one, _Refused):
            refused.append(one)
    return (*found.values(), *refused)


def _packaged_connector(name: str, package: str) -> Connector | _Refused:
    try:
        folder = _folder(package)
        manifest = load_manifest(folder / "manifest.json")
    except ConfigurationError as error:
        return _Refused(name, str(error))
    except Exception as error:  # noqa: BLE001 - a package runs code of its own when it is looked for
        return _Refused(name, f"The connector package {package} cannot be loaded: {_in_words(error)}.")
    if manifest.command is None:
        return Connector(manifest, package)
    return CommandConnector(manifest, package, folder)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def check_ceilings(settings: Settings) -> None:
    """Refuse to start with a rate ceiling in the environment that is not one, or is of a connector that is mistyped.

    Raises:
        ConfigurationError: naming the variable and what it must be.
    """
    known = {name.upper(): name for name in all_connectors()}
    for name in connectors_with_ceilings():
        if name in known:
            settings.pacing_min_interval_ms(known[name], 0.0)
        elif (meant := nearest(name, known)) is not None:
            wrong, right = settings.ceiling_variable(name), settings.ceiling_variable(meant)
            raise ConfigurationError(f"{wrong} is not a setting; did you mean {right}?")
    ceilings = [settings.ceiling_variable(name) for name in known]
    for name in unknown_variables():
        if (ceiling := nearest(name, ceilings)) is not None:
            raise ConfigurationError(f"{name} is not a setting; did you mean {ceiling}?")


@dataclass(frozen=True)
class _Refused:
    name: str
    """Of its folder or entry point; of its package, where its own name is taken."""
    why: str


def _own_connectors() -> list[Connector | _Refused]:
    """Looked for anew each time, so that a worker need not be restarted for a new one."""
    paths = sorted(get_settings().own_connectors.glob("*/manifest.json"))
    found = [_own_connector(path, _changed_at(path)) for path in paths]
    first = {one.manifest.name: one for one in reversed(found) if isinstance(one, Connector)}
    return [one if isinstance(one, _Refused) else _unless_taken(one, first[one.manifest.name]) for one in found]


def _changed_at(path: Path) -> int:
    """Nanoseconds since 1970; 0 where nothing is there, as behind a link that leads nowhere."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1000)
def _own_connector(path: Path, _version: int) -> Connector | _Refused:
    from pdpp_worker.added.added_connectors import is_added, load_added

    try:
        manifest, folder = load_added(path) if is_added(path) else (load_manifest(path), path.parent)
    except ConfigurationError as error:
        return _Refused(path.parent.name, str(error))
    if manifest.command is None:
        why = f"The manifest {path} names no command; a connector in Python without one is installed as a package."
        return _Refused(path.parent.name, why)
    return CommandConnector(manifest, str(path.parent), folder)


def _unless_taken(one: Connector, first: Connector) -> Connector | _Refused:
    other = packaged_connectors().get(one.manifest.name, first)
    if other is one:
        return one
    return _Refused(Path(one.package).name, _two_of_one_name(one.manifest.name, other.package, one.package))


def _two_of_one_name(name: str, first: str, second: str) -> str:
    return f"Two connectors are named {name}: {first} and {second}; remove one."


def _built_in_packages() -> list[tuple[str, str]]:
    """The name and the package of each."""
    folders = sorted(path.parent.name for path in _folder(_BUILT_IN).glob("*/manifest.json"))
    return [(folder, f"{_BUILT_IN}.{folder}") for folder in folders]


def _folder(package: str) -> Path:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The connector package {package} is not installed.")
    return Path(spec.submodule_search_locations[0])
