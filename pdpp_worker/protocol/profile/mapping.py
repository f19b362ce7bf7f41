"""Translates the profile's form of a manifest into ours, and names what has no counterpart here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from packaging.version import InvalidVersion, Version
from pydantic import ValidationError

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import Binding
from pdpp_worker.protocol.profile.asked_values import values_of
from pdpp_worker.protocol.profile.form import ManifestForm, RefreshForm, StreamForm, ToolForm

MAJOR = "0"
_NEVER = frozenset({"unavailable", "unsupported", "unsupported_in_mode"})
_BASE = re.compile(r"\d+(\.\d+)*")
_NOT_LOCAL = re.compile(r"[^a-z0-9]+")


_OPTIONAL_SKIPS = {
    "title": "Whether details that the connector calls optional may be left out",
    "type": "boolean",
    "default": False,
    "env": "PDPP_ACCEPT_OPTIONAL_SKIPS",
}


@dataclass(frozen=True)
class Mapped:
    """A manifest of ours, and what of the other form it does not hold."""

    manifest: Manifest
    unmapped: list[str]
    """One sentence each."""


def is_profile_form(given: Any) -> bool:
    """Whether a manifest is in the profile's form."""
    return isinstance(given, dict) and "connector_id" in given


def map_manifest(
    given: Mapping[str, Any], command: Sequence[str], variables: Sequence[str] = (), name: str = ""
) -> Mapped:
    """Our manifest of a connector whose program is `command`; `variables`: more that it reads, each a setting.

    `name`: what it is called here; its own where that is empty.

    Raises:
        ConfigurationError: naming the member and what is wrong with it.
    """
    try:
        form = ManifestForm.model_validate(given)
        _check_version(form.protocol_version)
        fields = _fields(form, command, variables)
        manifest = Manifest.model_validate({**fields, "name": name or fields["name"]})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ConfigurationError(f"{place}: {first['msg'].removeprefix('Value error, ')}.") from None
    return Mapped(manifest, list(_unmapped(form)))


def _fields(form: ManifestForm, command: Sequence[str], variables: Sequence[str]) -> dict[str, Any]:
    values = values_of(form)
    for variable in variables:
        values.setting(variable, variable, [variable], required=False, is_path=False)
    values.settings["accept_optional_skips"] = _OPTIONAL_SKIPS
    key = form.connector_key or form.connector_id.rstrip("/").rpartition("/")[2]
    version = _nearest_version(form.version)
    refresh = form.capabilities.refresh_policy
    interval = None if refresh is None else refresh.recommended_interval_seconds
    return {
        "name": re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_"),
        "connector_id": form.connector_id,
        "connector_key": key,
        "version": version,
        "semver": None if version == form.version else form.version,
        "title": form.display_name or key,
        "description": form.description,
        "command": list(command),
        "bindings": _bindings(form),
        "credentials": values.credentials,
        "settings": values.settings,
        "schedule_every_s": interval or 3600.0,
        "is_scheduled": refresh is None or _is_scheduled(refresh),
        "recovery": {"supports_targeted_resource_fetch": form.capabilities.supports_targeted_resource_fetch},
        "reasons": form.reason_display_messages,
        "tools": [_tool(one) for one in form.runtime_requirements.external_tools if one.detect is not None],
        "streams": [_stream(one) for one in form.streams],
    }


def _check_version(version: str) -> None:
    if version.split(".")[0] != MAJOR:
        raise ConfigurationError(f"protocol_version: it is {version}; this program speaks {MAJOR}.x.")


def _is_scheduled(refresh: RefreshForm) -> bool:
    """Leave out what is paused, may ask its owner in the background, or is collected by hand and names no interval."""
    by_hand = refresh.recommended_mode == "manual" and refresh.recommended_interval_seconds is None
    return refresh.background_safe and refresh.recommended_mode != "paused" and not by_hand


def _nearest_version(given: str) -> str:
    """The version, or its numbers with the rest as a local part where it is not PEP 440."""
    try:
        Version(given)
    except InvalidVersion:
        base = _BASE.search(given)
        if base is None:
            raise ConfigurationError(f"version: {given[:100]!r} has no number.") from None
        rest = _NOT_LOCAL.sub(".", given[base.end() :].lower()).strip(".")
        return f"{base.group()}+{rest}" if rest else base.group()
    return given


def _bindings(form: ManifestForm) -> list[str]:
    known = get_args(Binding)
    needed = [name for name, one in form.runtime_requirements.bindings.items() if one.required]
    for name in needed:
        if name not in known:
            raise ConfigurationError(f"runtime_requirements.bindings.{name}: it is required, and there is none here.")
    asks = ["interactive"] if form.capabilities.human_interaction else []
    return list(dict.fromkeys([*needed, *asks]))


def _tool(tool: ToolForm) -> dict[str, Any]:
    detect = tool.detect
    if detect is None:
        return {"executable": tool.name, "hint": tool.install_hint}
    return {
        "executable": detect.executable,
        "env": detect.executable_env_override,
        "arguments": detect.args,
        "exit_code": detect.exit_code,
        "hint": tool.install_hint,
    }


def _stream(form: StreamForm) -> dict[str, Any]:
    has_parent = form.state_stream is not None or form.parent_streams is not None
    key = form.primary_key
    return {
        "name": form.name,
        "title": form.display.label,
        "description": form.display.detail or form.description,
        "schema": form.stream_schema,
        "cursor_field": form.cursor_field,
        "consent_time_field": form.consent_time_field,
        "primary_key": [key] if isinstance(key, str) else key,
        "resource_field": form.selection.resource_field,
        "takes_time_range": form.consent_time_field is not None,
        "takes_resources": form.selection.resources,
        "required": form.required,
        "coverage_strategy": form.coverage_strategy if has_parent else None,
        "state_stream": form.state_stream,
        "parent_streams": form.parent_streams,
        "availability": _availability(form),
    }


def _availability(form: StreamForm) -> dict[str, Any] | None:
    """Why a stream is never supplied; None where it is."""
    given = form.availability
    if form.coverage_policy not in _NEVER and (given is None or given.state not in _NEVER):
        return None
    reason = given.reason if given is not None and given.reason else "The connector's manifest says so."
    mode = f" (mode: {given.mode})" if given is not None and given.mode else ""
    return {"supplied": False, "reason": reason + mode}


def _unmapped(form: ManifestForm) -> list[str]:
    auth = form.capabilities.auth
    found = []
    if auth is not None and auth.kind == "oauth":
        found.append("It signs in with OAuth: sign in elsewhere, and give the tokens as credentials.")
    if any(name == "browser" and one.required for name, one in form.runtime_requirements.bindings.items()):
        found.append("It starts a browser of its own: one has to be installed for it, and is not shown from elsewhere.")
    if form.setup.manual_or_upload is not None:
        found.append("It imports files: there is no page to upload them; put them into the folder that is set.")
    tools = form.runtime_requirements.external_tools
    found += [f"The tool {one.name} cannot be looked for." for one in tools if one.detect is None]
    found += [f"The stream {one.name} is not narrowed to fields." for one in form.streams if not one.selection.fields]
    return found
