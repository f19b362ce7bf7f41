"""The manifest: what a connector is, what it can supply, and on which terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import Field, ValidationError, field_validator, model_validator

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest_parts import Binding, Credential, ExternalTool, Pacing, Part, Recovery, SettingSpec
from pdpp_worker.protocol.stream_manifest import StreamManifest


class Manifest(Part):
    """A connector's manifest."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    version: str
    title: str
    description: str = ""
    queue: Literal["collect", "local"] = "collect"
    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """Program and arguments of a connector in any language, run in the manifest's folder; None: `connector.py`."""
    checkpoint_commit: Literal["incremental", "on_done"] = "on_done"
    bindings: list[Binding] = Field(default_factory=list)
    sign_in: str = "/"
    """For the binding `browser_profile`: the page where the owner signs in, as seen from the setting `base_url`."""
    credentials: dict[str, Credential] = Field(default_factory=dict)
    settings: dict[str, SettingSpec] = Field(default_factory=dict)
    """The binding `browser_profile` adds `reach`: plain HTTP, where there is also `network`, or the browser."""
    pacing: Pacing = Pacing()
    schedule_every_s: Annotated[float, Field(gt=0)] = 3600.0
    recovery: Recovery = Recovery()
    is_scheduled: bool = True
    """Whether a new connection is collected by itself; otherwise only by hand, until it is given a schedule."""
    connector_id: str | None = None
    """The profile's name of a connector whose manifest came in the profile's form."""
    connector_key: str | None = None
    """The own name of such a connector; in `name`, `-` has become `_`."""
    semver: str | None = None
    """Its version as it came, where `version` is only the nearest."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Its own words for why something is missing, and the sentence that an owner reads for each."""
    tools: list[ExternalTool] = Field(default_factory=list)
    streams: Annotated[list[StreamManifest], Field(min_length=1)]

    @field_validator("version")
    @classmethod
    def _pep440(cls, value: str) -> str:
        try:
            Version(value)
        except InvalidVersion:
            raise ValueError(f"version {value!r} is not a PEP 440 version such as 1.2.0") from None
        return value

    @model_validator(mode="after")
    def _browser_adds_reach(self) -> Manifest:
        if "browser_profile" in self.bindings:
            default = "http" if "network" in self.bindings else "browser"
            choices = ["http", "browser"] if "network" in self.bindings else ["browser"]
            title = "How requests are sent: plain HTTP, or from a page of your own browser profile"
            self.settings.setdefault("reach", SettingSpec(title=title, choices=choices, default=default))
        return self

    @model_validator(mode="after")
    def _command_is_told(self) -> Manifest:
        named: dict[str, Credential | SettingSpec] = {**self.credentials, **self.settings}
        variables = [name for spec in named.values() for name in spec.variables]
        if len(set(variables)) != len(variables):
            raise ValueError("two credentials or settings share an env; each needs a variable of its own")
        for name, spec in named.items():
            if self.command is not None and spec.env is None:
                raise ValueError(f"{name} needs env, the variable in which the command finds it")
        return self

    @model_validator(mode="after")
    def _limits_fit(self) -> Manifest:
        if strange := {one.setting for one in self.pacing.daily_bytes} - {None, *self.settings}:
            raise ValueError(f"pacing.daily_bytes names the unknown setting {min(map(str, strange))}")
        return self

    @model_validator(mode="after")
    def _streams_fit(self) -> Manifest:
        names = [stream.name for stream in self.streams]
        if len(set(names)) != len(names):
            raise ValueError("a stream is declared twice")
        for stream in self.streams:
            if stream.view is not None and self.command is not None:
                raise ValueError(f"stream {stream.name} has a view; only an installed package may bring SQL")
            setting = stream.availability.setting if stream.availability is not None else None
            if setting is not None and setting not in self.settings:
                raise ValueError(f"the availability of stream {stream.name} names the unknown setting {setting}")
            for parent in stream.parents:
                if parent not in names:
                    raise ValueError(f"stream {stream.name} names the unknown parent {parent}")
        for stream in self.streams:
            if strangers := stream.read_under.keys() - (set(names) - {stream.name}):
                raise ValueError(f"stream {stream.name} belongs to the unknown stream {min(strangers)}")
        if unknown := self.recovery.sources.difference(names):
            raise ValueError(f"recovery.sources names the unknown stream {min(unknown)}")
        _check_acyclic({stream.name: stream.parents for stream in self.streams})
        _check_acyclic({stream.name: list(stream.belongs_to) for stream in self.streams})
        return self

    def stream(self, name: str) -> StreamManifest | None:
        """The stream of that name, or None."""
        return next((stream for stream in self.streams if stream.name == name), None)

    def keepers(self, name: str) -> list[str]:
        """The streams whose cursors keep a stream's place: its own, or those of the streams that it hangs on."""
        declared = self.stream(name)
        if declared is None or declared.is_checkpoint:
            return [name]
        return list(dict.fromkeys(keeper for parent in declared.parents for keeper in self.keepers(parent)))

    @property
    def asks_owner(self) -> bool:
        """Whether it may ask the owner during a run."""
        return "interactive" in self.bindings

    @property
    def children(self) -> dict[str, list[tuple[str, str]]]:
        """Parent stream to its children, each with the field that holds the parent's key."""
        found: dict[str, list[tuple[str, str]]] = {}
        for stream in self.streams:
            for parent, field in stream.belongs_to.items():
                found.setdefault(parent, []).append((stream.name, field))
        return found

    @property
    def supplied(self) -> list[StreamManifest]:
        """The streams that the connector can supply to some connection, in the manifest's order."""
        return [one for one in self.streams if one.availability is None or one.availability.setting is not None]

    def supplied_to(self, settings: Mapping[str, Any]) -> list[StreamManifest]:
        """The streams that the connector supplies to a connection with these settings."""
        return [one for one in self.streams if one.availability is None or not one.availability.concerns(settings)]


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest file.

    Raises:
        ConfigurationError: naming the file, the field and what is wrong with it.
    """
    try:
        return Manifest.model_validate(read_json(path))
    except OSError as error:
        raise ConfigurationError(f"The manifest {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The manifest {path} is not UTF-8 text.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"The manifest {path} is refused: {place}: {text}.") from None
    except ValueError as error:
        raise ConfigurationError(f"The manifest {path} is not JSON: {error}.") from None


def read_json(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_acyclic(parents: dict[str, list[str]]) -> None:
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ValueError(f"the streams' parents form a cycle: {circle}") from None
