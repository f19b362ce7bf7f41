"""Makes a folder of the owner's own connectors from a tap (`pdpp-worker connector singer`)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import get_settings
from pdpp_worker.singer.asking import read_config
from pdpp_worker.singer.definition import load_definition
from pdpp_worker.singer.describe import Described, catalog_option, describe, discover, find_tap


def make(
    tap: str,
    config: Path,
    *,
    name: str | None,
    version: str,
    secrets: Collection[str],
    streams: Collection[str],
    replace: bool,
    as_fleet_user: bool,
) -> Described:
    """Ask the tap for its catalog and write the connector's folder.

    `as_fleet_user`: it may run as this user where no other one can run it.

    Raises:
        ConfigurationError: the tap, its configuration, a key, a stream or the name is not what it must be.
    """
    program = find_tap(tap)
    chosen = name or Path(program).name.replace("-", "_").lower()
    folder = get_settings().own_connectors / chosen
    if chosen in registry.packaged_connectors() or (folder.exists() and not replace):
        raise ConfigurationError(f"There is a connector {chosen} already; choose another --name, or say --replace.")
    values, catalog = read_config(config), discover(program, config, as_fleet_user=as_fleet_user)
    try:
        made = describe(
            program,
            values,
            catalog,
            name=chosen,
            version=version,
            secrets=secrets,
            streams=streams,
            taken_by=catalog_option(program, as_fleet_user=as_fleet_user),
            named=_named(folder),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"The tap cannot be made a connector: {place}: {first['msg']}.") from None
    made.write(folder)
    return made


def _named(folder: Path) -> dict[str, str]:
    """The names of streams of the connector that is made anew."""
    path = folder / "singer.json"
    return load_definition(path).streams if path.exists() else {}
