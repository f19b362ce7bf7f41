"""The manifest: what a connector is, what it can supply, and on which terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pdpp_worker.errors import ConfigurationError

Binding = Literal[
    "network", "filesystem", "browser", "browser_automation", "browser_profile", "interactive", "loopback_listen"
]
"""`browser`: the connector starts its own; `browser_profile`: it sends through the one that the worker keeps."""
_DURATION = r"^P(\d+W|(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?)$"
_RATE = r"^([1-9]\d*(\.\d+)?|0\.\d*[1-9]\d*)/(sec|min|hour)$"
_UNIT_MS = {"sec": 1000.0, "min": 60_000.0, "hour": 3_600_000.0}
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Availability(_Part):
    """A stream that this mechanism never supplies, and the reason an owner reads."""

    supplied: Literal[False]
    with_: str | None = Field(default=None, alias="with")
    """Only connections on which this setting is set go without the stream; null: all do."""
    reason: Annotated[str, Field(min_length=1)]

    def concerns(self, settings: Mapping[str, Any]) -> bool:
        """Whether a connection with these settings goes without the stream."""
        return self.with_ is None or settings.get(self.with_) is not None


class StreamManifest(_Part):
    """One stream of a connector."""

    name: StreamName
    title: str = ""
    schema_: dict[str, Any] = Field(default={}, alias="schema")
    cursor_field: str | None = None
    cursor_semantic: Literal["complete", "high_water", "session_local"] = "high_water"
    mutable_window: Annotated[str, Field(pattern=_DURATION)] | None = None
    """An ISO 8601 duration: what is younger may still change, so every forward run walks it again."""
    state_stream: StreamName | None = None
    parent_streams: list[StreamName] | None = None
    coverage_strategy: Literal["checkpoint_window", "parent_detail_accounting"] | None = None
    belongs_to: dict[StreamName, Annotated[str, Field(min_length=1, max_length=200)]] = {}
    """Parent stream to the field that holds the parent's key: a deletion of the parent reaches its children."""
    availability: Availability | None = None
    view: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.sql$", max_length=100)] | None = None
    """A file beside the manifest: the query that computes the stream from the records of others, for an export."""
    description: str = ""
    primary_key: list[str] = []
    """Members of a record whose values are its key; empty: nothing is checked."""
    consent_time_field: str | None = None
    """The member by which a time range is judged; null: the cursor field."""
    resource_field: str | None = None
    """The member that may name the resource instead of the key."""
    takes_time_range: bool = True
    """Whether it can be asked for a period."""
    takes_resources: bool = True
    """Whether it can be asked for single resources."""
    required: bool = True
    """Whether the connection is worth less without it; an optional one is shown as such."""

    @field_validator("schema_")
    @classmethod
    def _compiles(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jsonschema_rs.validator_for(value)
        except ValueError as error:
            raise ValueError(f"schema is not a JSON Schema: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_parent_form(self) -> StreamManifest:
        if self.state_stream is not None and self.parent_streams is not None:
            raise ValueError(f"stream {self.name} declares both state_stream and parent_streams; use one")
        if self.parent_streams is not None:
            _check_parents(self.name, self.parent_streams)
        _check_strategy(self)
        if self.view is not None and (self.availability is None or self.availability.with_ is not None):
            raise ValueError(f"stream {self.name} has a view, so nothing supplies it; declare its availability")
        if self.name in self.parents:
            raise ValueError(f"stream {self.name} names itself as its parent")
        return self

    @property
    def parents(self) -> list[str]:
        """The streams whose checkpoint covers this one; empty when it is its own."""
        return [self.state_stream] if self.state_stream is not None else list(self.parent_streams or [])

    @property
    def time_field(self) -> str | None:
        """The member by which a time range is judged."""
        return self.consent_time_field or self.cursor_field

    @property
    def always_asked(self) -> list[str]:
        """The members that a record needs, whichever are asked for."""
        required = self.schema_.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return list(dict.fromkeys([*names, *self.primary_key, *([self.time_field] if self.time_field else [])]))

    @property
    def is_checkpoint(self) -> bool:
        """Whether the stream has a cursor of its own."""
        return not self.parents


class Recovery(_Part):
    """How a connector retries its gaps: which forms of scope it can be asked for by themselves, and how fast."""

    supports_targeted_resource_fetch: bool = False
    scopes: Annotated[frozenset[Literal["resource", "batch"]], Field(min_length=1)] = frozenset({"resource"})
    supports_version_bumped_retry: bool = False
    targeted_fetch_rate_hint: Annotated[str, Field(pattern=_RATE)] | None = None
    sources: frozenset[StreamName] = frozenset()
    """Streams of which a gap may name a source of records, such as a document, instead of one record. Any
    record that is named as its proof closes such a gap."""
    proof: Literal["record", "source"] = "record"
    """The older form of the same: `source` is said of every stream."""

    def names_sources(self, stream: str) -> bool:
        """Whether a gap of the stream may name a source of records instead of one record."""
        return self.proof == "source" or stream in self.sources

    @property
    def min_interval_ms(self) -> float:
        """The shortest interval between two requests for gaps, ms; 0 where the connector gives no hint."""
        if self.targeted_fetch_rate_hint is None:
            return 0.0
        count, _, unit = self.targeted_fetch_rate_hint.partition("/")
        return _UNIT_MS[unit] / float(count)


LaneName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$", max_length=64)]
PathPattern = Annotated[str, Field(min_length=1, max_length=200)]


class Pacing(_Part):
    """The connector's default rate ceiling, and which of its requests the provider limits apart."""

    min_interval_ms: Annotated[float, Field(gt=0)] = 1000.0
    """The ceiling: ms between two requests, of whatever lane."""
    lanes: dict[LaneName, Annotated[list[PathPattern], Field(min_length=1)]] = {}
    """Lane to patterns of the URL's path, with `*` and `?`; a request that fits none is in the unnamed lane."""

    def lane_of(self, path: str) -> str:
        """The lane of a request by its URL's path: the first with a pattern that fits, else the unnamed one."""
        for lane, patterns in self.lanes.items():
            if any(fnmatchcase(path, pattern) for pattern in patterns):
                return lane
        return ""


Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]


class Credential(_Part):
    """A secret that a connection needs. `env` is the variable in which a `command` finds it."""

    title: str
    required: bool = True
    env: Variable | None = None
    aliases: list[Variable] = []
    """More variables in which a `command` finds it."""

    @property
    def variables(self) -> list[str]:
        """All variables in which a `command` finds it."""
        return [*([self.env] if self.env else []), *self.aliases]


class SettingSpec(_Part):
    """A plain value that a connection may set."""

    title: str
    type: Literal["string", "integer", "number", "boolean", "path", "file", "url"] = "string"
    """`path` may not exist yet; `file` has to."""
    choices: list[str] = []
    """The only values of a string; empty: any."""
    default: Any = None
    required: bool = False
    env: Variable | None = None
    """The variable in which a `command` finds the value."""
    aliases: list[Variable] = []
    """More such variables."""

    @property
    def variables(self) -> list[str]:
        """All variables in which a `command` finds it."""
        return [*([self.env] if self.env else []), *self.aliases]


class ExternalTool(_Part):
    """A program that a connector needs beside its own."""

    executable: Annotated[str, Field(min_length=1)]
    """Its name in the PATH, or its path."""
    env: Variable | None = None
    """The variable that may name another one."""
    arguments: list[str] = []
    """With these it shows that it is there."""
    exit_code: int = 0
    hint: str = ""
    """How it is installed."""


class Manifest(_Part):
    """A connector's manifest."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    version: str
    title: str
    description: str = ""
    queue: Literal["collect", "local"] = "collect"
    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """Program and arguments of a connector in any language, run in the manifest's folder; None: `connector.py`."""
    checkpoint_commit: Literal["incremental", "on_done"] = "on_done"
    bindings: list[Binding] = []
    sign_in: str = "/"
    """For the binding `browser_profile`: the page where the owner signs in, as seen from the setting `base_url`."""
    credentials: dict[str, Credential] = {}
    settings: dict[str, SettingSpec] = {}
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
    reasons: dict[str, str] = {}
    """Its own words for why something is missing, and the sentence that an owner reads for each."""
    tools: list[ExternalTool] = []
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
    def _streams_fit(self) -> Manifest:
        names = [stream.name for stream in self.streams]
        if len(set(names)) != len(names):
            raise ValueError("a stream is declared twice")
        for stream in self.streams:
            if stream.view is not None and self.command is not None:
                raise ValueError(f"stream {stream.name} has a view; only an installed package may bring SQL")
            setting = stream.availability.with_ if stream.availability is not None else None
            if setting is not None and setting not in self.settings:
                raise ValueError(f"stream {stream.name} is not available with the unknown setting {setting}")
            for parent in stream.parents:
                if parent not in names:
                    raise ValueError(f"stream {stream.name} names the unknown parent {parent}")
        for stream in self.streams:
            if strangers := stream.belongs_to.keys() - (set(names) - {stream.name}):
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
        return [one for one in self.streams if one.availability is None or one.availability.with_ is not None]

    def supplied_to(self, settings: Mapping[str, Any]) -> list[StreamManifest]:
        """The streams that the connector supplies to a connection with these settings."""
        return [one for one in self.streams if one.availability is None or not one.availability.concerns(settings)]


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest file.

    Raises:
        ConfigurationError: naming the file, the field and what is wrong with it.
    """
    try:
        return Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"The manifest {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The manifest {path} is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"The manifest {path} is not JSON: {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"The manifest {path} is refused: {place}: {text}.") from None


def _check_parents(name: str, parents: list[str]) -> None:
    if not parents:
        raise ValueError(f"stream {name} declares an empty parent_streams; name a parent or leave it out")
    if len(set(parents)) != len(parents):
        raise ValueError(f"stream {name} names a parent twice")


def _check_strategy(stream: StreamManifest) -> None:
    wanted = None
    if stream.state_stream is not None:
        wanted = "checkpoint_window"
    if stream.parent_streams is not None:
        wanted = "parent_detail_accounting"
    if stream.coverage_strategy != wanted:
        raise ValueError(f"stream {stream.name} has coverage_strategy {stream.coverage_strategy}; it must be {wanted}")


def _check_acyclic(parents: dict[str, list[str]]) -> None:
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ValueError(f"the streams' parents form a cycle: {circle}") from None
