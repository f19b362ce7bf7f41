"""A manifest in the profile's form, as far as it means something here. Unknown members are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class Part(BaseModel):
    """A part of it. A null stands for a member left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: one for name, one in given.items() if one is not None} if isinstance(given, dict) else given


class BindingForm(Part):
    """The needs of a connector."""

    required: bool = Field(default=True, description="an optional one is not asked for")


class PathForm(Part):
    """A file or folder that it reads."""

    env_override: Variable | None = Field(default=None, description="the variable that names it")
    label: str = Field(default="", description="its title")


class LocalPathsForm(Part):
    """Files and folders that it reads."""

    home_env_override: Variable | None = Field(default=None, description="a path setting")
    paths: list[PathForm] = Field(default=[], description="path settings")


class DetectForm(Part):
    """How a tool is found."""

    executable: str = Field(description="its name in the PATH")
    executable_env_override: Variable | None = Field(default=None, description="the variable that names another one")
    args: list[str] = Field(default=[], description="with these it shows that it is there")
    exit_code: int = Field(default=0, description="and ends with this")


class ToolForm(Part):
    """A program that it needs beside its own."""

    name: str = Field(description="its title")
    install_hint: str = Field(default="", description="how it is installed")
    detect: DetectForm | None = Field(default=None, description="how it is found; checked by add and doctor")


class RequirementsForm(Part):
    """`runtime_requirements`."""

    bindings: dict[str, BindingForm] = Field(default={}, description="bindings; an unknown required one is refused")
    environment_variables: list[Variable] = Field(default=[], description="optional settings")
    local_paths: LocalPathsForm | None = Field(default=None, description="path settings")
    external_tools: list[ToolForm] = Field(default=[], description="tools")


class FieldForm(Part):
    """One field of what an owner enters."""

    name: str = Field(description="the name of a credential or setting")
    label: str = Field(default="", description="its title")
    type: str = Field(default="text", description="password: a credential")
    env: list[Variable] | Variable = Field(default=[], description="every variable that gets the value")
    required: bool = Field(default=False, description="as it says, if the block is required")
    secret: bool = Field(default=False, description="true: a credential, else a setting")
    help_text: str = Field(default="", description="shown")

    @property
    def variables(self) -> list[str]:
        """Its variables."""
        return [self.env] if isinstance(self.env, str) else list(self.env)


class CaptureForm(Part):
    """`credential_capture`."""

    label: str = Field(default="", description="shown")
    required: bool = Field(default=True, description="false: none of its fields is required")
    fields: list[FieldForm] = Field(default=[], description="credentials and settings")


class UploadForm(Part):
    """`manual_or_upload`."""

    import_dir_env_var: Variable = Field(description="a path setting, required")
    label: str = Field(default="", description="its title")
    help_text: str = Field(default="", description="shown")


class SetupForm(Part):
    """`setup`."""

    modality: str = Field(default="", description="how it is set up; shown")
    credential_capture: CaptureForm | None = Field(default=None, description="credentials and settings")
    deployment_config: list[Variable] = Field(default=[], description="credentials")
    manual_or_upload: UploadForm | None = Field(default=None, description="a path setting")


class ConfigForm(Part):
    """A value of an OAuth sign-in."""

    env_alias: Variable | None = Field(default=None, description="the variable that gets it")
    env_var: Variable | None = Field(default=None, description="the same")
    label: str = Field(default="", description="its title")
    secret: bool = Field(default=True, description="a credential either way")
    required: bool = Field(default=True, description="as it says")

    @property
    def variable(self) -> str | None:
        """Its variable."""
        return self.env_alias or self.env_var


class AuthForm(Part):
    """`capabilities.auth`."""

    kind: str = Field(default="", description="env or oauth")
    required: list[Variable] = Field(default=[], description="credentials, if not declared before")
    deployment_config: list[ConfigForm] = Field(default=[], description="credentials, if not declared before")
    connection_config: list[ConfigForm] = Field(default=[], description="credentials, if not declared before")


class RefreshForm(Part):
    """`refresh_policy`."""

    recommended_mode: str = Field(
        default="automatic", description="paused: no schedule; manual: none, if not background_safe"
    )
    background_safe: bool = Field(default=False, description="false: no schedule")
    recommended_interval_seconds: Annotated[float, Field(gt=0)] | None = Field(default=None, description="the interval")


class CapabilitiesForm(Part):
    """`capabilities`."""

    human_interaction: list[str] = Field(default=[], description="not empty: binding interactive")
    auth: AuthForm | None = Field(default=None, description="credentials")
    refresh_policy: RefreshForm | None = Field(default=None, description="the schedule")
    supports_targeted_resource_fetch: bool = Field(default=False, description="gaps are asked for by themselves")


class DisplayForm(Part):
    """`display`."""

    label: str = Field(default="", description="the stream's title")
    detail: str = Field(default="", description="its text")


class SelectionForm(Part):
    """`selection`."""

    fields: bool = Field(default=True, description="whether it takes fields")
    resources: bool = Field(default=True, description="false: it is never asked for resources")
    resource_field: str | None = Field(default=None, description="the member that may name the resource")


class AvailabilityForm(Part):
    """`availability`."""

    state: str = Field(default="", description="unavailable, unsupported, unsupported_in_mode: never supplied")
    mode: str = Field(default="", description="shown")
    reason: str = Field(default="", description="what the owner reads")


Strategy = Literal[
    "checkpoint_window",
    "full_inventory",
    "snapshot_import_receipt",
    "parent_detail_accounting",
    "singleton_presence",
]


class StreamForm(Part):
    """A stream."""

    name: StreamName = Field(description="the same")
    description: str = Field(default="", description="shown")
    display: DisplayForm = Field(default=DisplayForm(), description="title and text")
    stream_schema: dict[str, Any] = Field(
        default={}, alias="schema", description="the same; x_pdpp_* mean nothing here"
    )
    primary_key: list[str] | str = Field(default=[], description="checks the key of a record")
    cursor_field: str | None = Field(default=None, description="the same")
    consent_time_field: str | None = Field(
        default=None, description="judges a time range; without it none is asked for"
    )
    required: bool = Field(default=True, description="false: optional, and shown as such")
    coverage_strategy: Strategy | None = Field(default=None, description="any, if it names no parent")
    state_stream: StreamName | None = Field(default=None, description="the same; with checkpoint_window only")
    parent_streams: list[StreamName] | None = Field(default=None, description="the same; with parent_detail_accounting")
    coverage_policy: str = Field(default="collect", description="unavailable, unsupported: never supplied")
    availability: AvailabilityForm | None = Field(default=None, description="never supplied, and why")
    selection: SelectionForm = Field(default=SelectionForm(), description="what it can be narrowed to")

    @model_validator(mode="after")
    def _parents_have_their_strategy(self) -> StreamForm:
        if self.state_stream is not None and self.coverage_strategy != "checkpoint_window":
            raise ValueError(f"stream {self.name}: state_stream needs coverage_strategy checkpoint_window")
        if self.parent_streams is not None and self.coverage_strategy != "parent_detail_accounting":
            raise ValueError(f"stream {self.name}: parent_streams needs coverage_strategy parent_detail_accounting")
        return self


class ManifestForm(Part):
    """The manifest."""

    protocol_version: str = Field(default="0.1.0", description="another major version is refused")
    connector_id: Annotated[str, Field(min_length=1)] = Field(description="kept; its last part stands in for the key")
    connector_key: Slug | None = Field(default=None, description="the connector's name, with _ for -")
    version: Annotated[str, Field(min_length=1)] = Field(description="the same; what is not PEP 440 by its nearest")
    display_name: str = Field(default="", description="title")
    description: str = Field(default="", description="the same")
    runtime_requirements: RequirementsForm = Field(default=RequirementsForm(), description="bindings, settings, tools")
    setup: SetupForm = Field(default=SetupForm(), description="credentials and settings")
    capabilities: CapabilitiesForm = Field(default=CapabilitiesForm(), description="credentials, schedule, interaction")
    reason_display_messages: dict[str, str] = Field(default={}, description="shown for these reasons")
    streams: Annotated[list[StreamForm], Field(min_length=1)] = Field(description="the streams")
