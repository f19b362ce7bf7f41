"""Parts of a manifest beside its streams: bindings, recovery, pacing, credentials, settings and tools."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Binding = Literal[
    "network", "filesystem", "browser", "browser_automation", "browser_profile", "interactive", "loopback_listen"
]
"""`browser`: the connector starts its own; `browser_profile`: it sends through the one that the worker keeps."""
_RATE = r"^([1-9]\d*(\.\d+)?|0\.\d*[1-9]\d*)/(sec|min|hour)$"
_UNIT_MS = {"sec": 1000.0, "min": 60_000.0, "hour": 3_600_000.0}
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class Part(BaseModel):
    """A part of a manifest: immutable, and every member is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Recovery(Part):
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


class DailyBytes(Part):
    """Bytes that the provider lets an account receive in a day."""

    most: Annotated[int, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]
    """Where the provider says so, and what is left to the owner's other programs."""
    setting: str | None = None
    """Only connections of which this setting has one of `values`, in letters of any case; None: all."""
    values: frozenset[str] = frozenset()


class Pacing(Part):
    """The connector's default rate ceiling, and which of its requests the provider limits apart."""

    unit: Literal["requests", "bytes"] = "requests"
    """The provider's limit. With `bytes` requests follow one another as fast as they are answered, within the day's
    bytes; the ceiling is then for an owner who sets one."""
    min_interval_ms: Annotated[float, Field(gt=0)] = 1000.0
    """The ceiling: ms between two requests, of whatever lane."""
    cold_start_ms: Annotated[float, Field(gt=0)] | None = None
    """The first interval of a connection whose rate was not learned; None: the fleet's."""
    daily_bytes: list[DailyBytes] = Field(default_factory=list)
    """Limits of known providers; a connection of which none speaks has none."""
    lanes: dict[LaneName, Annotated[list[PathPattern], Field(min_length=1)]] = Field(default_factory=dict)
    """Lane to patterns of the URL's path, with `*` and `?`; a request that fits none is in the unnamed lane."""

    @model_validator(mode="after")
    def _bytes_are_the_unit(self) -> Pacing:
        if self.daily_bytes and self.unit != "bytes":
            raise ValueError("daily_bytes needs unit: bytes")
        return self

    def daily_bytes_of(self, settings: Mapping[str, Any]) -> DailyBytes | None:
        """The limit that a connection with these settings has; None: none is known."""
        return next((one for one in self.daily_bytes if _speaks_of(one, settings)), None)

    def lane_of(self, path: str) -> str:
        """The lane of a request by its URL's path: the first with a pattern that fits, else the unnamed one."""
        for lane, patterns in self.lanes.items():
            if any(fnmatchcase(path, pattern) for pattern in patterns):
                return lane
        return ""


def _speaks_of(limit: DailyBytes, settings: Mapping[str, Any]) -> bool:
    return limit.setting is None or str(settings.get(limit.setting)).strip().rstrip(".").lower() in limit.values


_TO_LOADERS = ("LD_", "DYLD_", "PYTHON", "GCONV_", "GLIBC_", "MALLOC_")
_TO_PLATFORM = frozenset(("PATH", "HOME", "TMPDIR", "IFS", "ENV", "BASH_ENV", "LOCPATH", "NODE_OPTIONS", "NODE_PATH"))


def _is_own(name: str) -> str:
    """Refuse a variable that a loader, an interpreter or the platform reads: a manifest would choose what else runs."""
    if name.startswith(_TO_LOADERS) or name in _TO_PLATFORM:
        raise ValueError(f"{name} is read by the system or by interpreters; choose a variable of the connector's own")
    return name


Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100), AfterValidator(_is_own)]


class Credential(Part):
    """A secret that a connection needs. `env` is the variable in which a `command` finds it."""

    title: str
    required: bool = True
    env: Variable | None = None
    aliases: list[Variable] = Field(default_factory=list)
    """More variables in which a `command` finds it."""

    @property
    def variables(self) -> list[str]:
        """All variables in which a `command` finds it."""
        return [*([self.env] if self.env else []), *self.aliases]


class SettingSpec(Part):
    """A plain value that a connection may set."""

    title: str
    type: Literal["string", "integer", "number", "boolean", "path", "file", "url"] = "string"
    """`path` may not exist yet; `file` has to."""
    choices: list[str] = Field(default_factory=list)
    """The only values of a string; empty: any."""
    default: Any = None
    required: bool = False
    env: Variable | None = None
    """The variable in which a `command` finds the value."""
    aliases: list[Variable] = Field(default_factory=list)
    """More such variables."""

    @property
    def variables(self) -> list[str]:
        """All variables in which a `command` finds it."""
        return [*([self.env] if self.env else []), *self.aliases]


class ExternalTool(Part):
    """A program that a connector needs beside its own."""

    executable: Annotated[str, Field(min_length=1)]
    """Its name in the PATH, or its path."""
    env: Variable | None = None
    """The variable that may name another one."""
    arguments: list[str] = Field(default_factory=list)
    """With these it shows that it is there."""
    exit_code: int = 0
    hint: str = ""
    """How it is installed."""
