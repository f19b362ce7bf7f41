"""`singer.json`, beside a tap's manifest: the tap, its configuration and its catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.singer.bookmarks import SettingsMark

COMMAND = ("{python}", "-m", "pdpp_worker.singer", "singer.json")
"""The command of a manifest that is a tap's."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigValue(_Part):
    """One key of the tap's configuration: the variable that holds its value, and how that is read."""

    env: str
    type: Literal["string", "json"] = "string"


CatalogOption = Literal["catalog", "properties"]


class Definition(_Part):
    """A tap, as the adapter has to know it."""

    tap: list[str] = Field(min_length=1)
    """Program and arguments."""
    catalog_option: CatalogOption = "catalog"
    """The option by which the tap takes its catalog; the oldest taps know only `--properties`."""
    config: dict[str, ConfigValue] = {}
    streams: dict[str, str]
    """Our name of a stream to the tap's own id of it."""
    catalog: dict[str, Any]
    """As the tap discovered it."""


def load_definition(path: Path) -> Definition:
    """Read a definition.

    Raises:
        ConfigurationError: it is none; says why.
    """
    try:
        return Definition.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise ConfigurationError(f"{path} is refused: {error.errors(include_input=False)[0]['msg']}.") from None


def read_config(definition: Definition, variable: Callable[[str], str | None]) -> dict[str, Any]:
    """The tap's configuration out of the environment; keys without a value are left out.

    Raises:
        ConfigurationError: a value that is to be JSON is none; its content is not shown.
    """
    config: dict[str, Any] = {}
    for key, value in definition.config.items():
        text = variable(value.env)
        if text is None:
            continue
        try:
            config[key] = json.loads(text) if value.type == "json" else text
        except ValueError:
            raise ConfigurationError(f'The setting {key} of the tap must be JSON, such as ["a", "b"] or 5.') from None
    return config


def secret_keys(definition: Definition, manifest: Path) -> set[str]:
    """The keys of the configuration that are credentials of the connector.

    Raises:
        ConfigurationError: its manifest cannot be read.
    """
    try:
        credentials = json.loads(manifest.read_bytes()).get("credentials") or {}
        variables = {one.get("env") for one in credentials.values()}
    except (OSError, ValueError, AttributeError):
        raise ConfigurationError(f"{manifest} cannot be read.") from None
    return {key for key, value in definition.config.items() if value.env in variables}


def settings_mark(config: Mapping[str, Any], secrets: Collection[str]) -> SettingsMark:
    """Texts that change with any setting of the tap, but not with its credentials, which are renewed."""
    plain = {key: value for key, value in config.items() if key not in secrets}
    return SettingsMark(_mark(plain), {key: _mark(value) for key, value in plain.items()})


def _mark(value: Any) -> str:
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def select_streams(catalog: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    """The catalog with exactly these streams (by the tap's ids) selected, in both of the ways that taps look at."""
    streams = []
    for stream in catalog["streams"]:
        chosen = stream["tap_stream_id"] in wanted
        said = stream.get("metadata") or []
        others = [entry for entry in said if entry["breadcrumb"]]
        own: dict[str, Any] = next((entry["metadata"] for entry in said if not entry["breadcrumb"]), {})
        metadata = [{"breadcrumb": [], "metadata": {**own, "selected": chosen}}, *(_chosen(one) for one in others)]
        schema = {**stream["schema"], "selected": chosen}
        streams.append({**stream, "selected": chosen, "schema": schema, "metadata": metadata})
    return {**catalog, "streams": streams}


def _chosen(entry: dict[str, Any]) -> dict[str, Any]:
    """A field with everything that can be had of it."""
    if entry["metadata"].get("inclusion") == "unsupported":
        return entry
    return {**entry, "metadata": {**entry["metadata"], "selected": True}}
