"""Which connectors there are: the folders of `connectors/`, and those that packages offer as `pdpp.connectors`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from pdpp_worker.connector import Collect
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.settings import Settings

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
        module = f"{self.package}.connector"
        try:
            collect: Collect = import_module(module).collect
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"The connector {self.manifest.name} cannot be loaded from {module}: {error}."
            ) from error
        return collect


def get(name: str) -> Connector:
    """The connector of that name.

    Raises:
        NotFoundError: naming those that exist.
        ConfigurationError: a manifest is refused.
    """
    found = all_connectors()
    if name not in found:
        raise NotFoundError(f"There is no connector named {name!r}; known: {', '.join(sorted(found))}.")
    return found[name]


@lru_cache(maxsize=1)
def all_connectors() -> dict[str, Connector]:
    """Every connector by name.

    Raises:
        ConfigurationError: a manifest is refused, or two connectors share a name.
    """
    packages = [*_built_in_packages(), *(point.value for point in entry_points(group=ENTRY_POINT_GROUP))]
    found: dict[str, Connector] = {}
    for package in packages:
        manifest = load_manifest(_folder(package) / "manifest.json")
        if manifest.name in found:
            raise ConfigurationError(
                f"Two connectors are named {manifest.name}: {found[manifest.name].package} and {package}; remove one."
            )
        found[manifest.name] = Connector(manifest, package)
    return found


def check_ceilings(settings: Settings) -> None:
    """Refuse to start with a rate ceiling in the environment that is not one.

    Raises:
        ConfigurationError: naming the variable and what it must be.
    """
    for name, connector in all_connectors().items():
        settings.pacing_min_interval_ms(name, connector.manifest.pacing.min_interval_ms)


def _built_in_packages() -> list[str]:
    manifests = _folder(_BUILT_IN).glob("*/manifest.json")
    return sorted(f"{_BUILT_IN}.{path.parent.name}" for path in manifests)


def _folder(package: str) -> Path:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The connector package {package} is not installed.")
    return Path(spec.submodule_search_locations[0])
