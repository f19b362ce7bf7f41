"""The scope of a gap: one resource, or a batch named by partition and range."""

from __future__ import annotations

import json
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from pdpp_worker.protocol.keys import ItemName, canonical_key


class TimeRange(BaseModel):
    """A half-open period `[since, until)`; either end may be open. ISO 8601 text, compared as text by nobody."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    since: str | None = None
    until: str | None = None


class ResourceScope(BaseModel):
    """One resource, by the provider's own id, in the one form of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resource_id: Annotated[ItemName, AfterValidator(canonical_key)]


class BatchScope(BaseModel):
    """Everything in one partition of the source, within a period when `range` is given; `{}` is the whole stream.

    A period without either end leaves nothing out, so it is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: dict[str, JsonValue]
    range: TimeRange | None = None

    @field_validator("range")
    @classmethod
    def _has_an_end(cls, period: TimeRange | None) -> TimeRange | None:
        return None if period == TimeRange() else period

    @field_validator("partition")
    @classmethod
    def _is_json(cls, partition: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            json.dumps(partition, allow_nan=False)
        except ValueError:
            raise ValueError("a number is none that JSON has") from None
        return partition


Scope = ResourceScope | BatchScope

WHOLE_STREAM = BatchScope(partition={})


def scope_json(scope: Scope) -> dict[str, Any]:
    """The scope as plain JSON, without empty fields."""
    return scope.model_dump(mode="json", exclude_none=True)


def scope_key(scope: Scope) -> str:
    """The canonical JSON of a scope: the same miss always has the same key. Plain ASCII."""
    return json.dumps(scope_json(scope), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def scope_hash(scope: Scope) -> bytes:
    """A digest of the canonical scope, so that a scope of any length fits an index."""
    return _digest(scope_key(scope))


def resource_hash(resource_id: str) -> bytes:
    """The digest of the scope of one resource, without making the scope."""
    return _digest(f'{{"resource_id":{encode_basestring_ascii(resource_id)}}}')


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()


class StreamScope(BaseModel):
    """The part of one stream that START asks for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(min_length=1)]
    resources: list[str] | None = None
    time_range: TimeRange | None = None
    fields: list[str] | None = None

    @model_validator(mode="after")
    def _no_wildcard(self) -> StreamScope:
        if "*" in self.name:
            raise ValueError(f"scope.streams[].name is {self.name!r}; wildcards are not allowed")
        return self
