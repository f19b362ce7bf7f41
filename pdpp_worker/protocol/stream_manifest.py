"""One stream in a manifest: its schema, its parents, and the terms on which it is supplied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pdpp_worker.protocol.manifest_parts import Part, StreamName
from pdpp_worker.protocol.schemas import validator_for

_DURATION = r"^P(\d+W|(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?)$"


class Availability(Part):
    """A stream that this mechanism never supplies, and the reason an owner reads."""

    supplied: Literal[False]
    with_: str | None = Field(default=None, alias="with")
    """Only connections on which this setting is set go without the stream."""
    without: str | None = None
    """Only those on which this one is not set. With neither, all do."""
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _one_setting(self) -> Availability:
        if self.with_ is not None and self.without is not None:
            raise ValueError("availability names both with and without; use one")
        return self

    @property
    def setting(self) -> str | None:
        """The setting that decides; null: no connection has the stream."""
        return self.with_ or self.without

    def concerns(self, settings: Mapping[str, Any]) -> bool:
        """Whether a connection with these settings goes without the stream."""
        return self.setting is None or (settings.get(self.setting) is not None) is (self.with_ is not None)


FieldName = Annotated[str, Field(min_length=1, max_length=200)]


class Reading(Part):
    """How a person reads a record: which members hold what. Programs do not depend on it."""

    title: FieldName | None = None
    author: FieldName | None = None
    time: FieldName | None = None
    """The record's own time; none: that of the stream."""
    text: FieldName | None = None
    html: FieldName | None = None
    """HTML, as it came from others."""
    within: dict[StreamName, FieldName] = Field(default_factory=dict)
    """A stream under whose record it is read, and the member that holds that record's key; beside `belongs_to`."""
    thread: FieldName | None = None
    """Records of the stream in which this member is the same are read together."""


class StreamManifest(Part):
    """One stream of a connector."""

    name: StreamName
    title: str = ""
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")
    cursor_field: str | None = None
    cursor_semantic: Literal["complete", "high_water", "session_local"] = "high_water"
    mutable_window: Annotated[str, Field(pattern=_DURATION)] | None = None
    """An ISO 8601 duration: what is younger may still change, so every forward run walks it again."""
    state_stream: StreamName | None = None
    parent_streams: list[StreamName] | None = None
    coverage_strategy: Literal["checkpoint_window", "parent_detail_accounting"] | None = None
    belongs_to: dict[StreamName, FieldName] = Field(default_factory=dict)
    """Parent stream to the field that holds the parent's key: a deletion of the parent reaches its children."""
    availability: Availability | None = None
    reading: Reading = Field(default_factory=Reading)
    view: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.sql$", max_length=100)] | None = None
    """A file beside the manifest: the query that computes the stream from the records of others, for an export."""
    description: str = ""
    primary_key: list[str] = Field(default_factory=list)
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
            validator_for(value)
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
        if self.view is not None and (self.availability is None or self.availability.setting is not None):
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
    def own_time_field(self) -> str | None:
        """The member that holds a record's own time."""
        return self.reading.time or self.time_field

    @property
    def read_under(self) -> dict[str, str]:
        """Streams under whose records it is read, with the member that holds the key; the first one counts."""
        return {**self.reading.within, **self.belongs_to}

    @property
    def thread_field(self) -> str | None:
        """The member by which its records are read together."""
        return self.reading.thread or next(iter(self.read_under.values()), None)

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
