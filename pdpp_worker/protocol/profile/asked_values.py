"""Collects the credentials and settings of a connector from all places where its manifest declares them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pdpp_worker.protocol.profile.form import ConfigForm, FieldForm, ManifestForm

_PATHS = ("_DIR", "_PATH", "_HOME")
_NO_NAME = re.compile(r"[^a-z0-9]+")


class Values:
    """Credentials and settings, each variable once: what was declared first stays."""

    def __init__(self) -> None:
        self.credentials: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        self._variables: set[str] = set()

    def credential(self, name: str, title: str, variables: Iterable[str], *, required: bool) -> None:
        """A secret."""
        if (spec := self._spec(title or name, variables, required=required)) is not None:
            self.credentials[self._free(name)] = spec

    def setting(self, name: str, title: str, variables: Iterable[str], *, required: bool, is_path: bool) -> None:
        """A plain value."""
        if (spec := self._spec(title or name, variables, required=required)) is not None:
            self.settings[self._free(name)] = {**spec, "type": "path" if is_path else "string"}

    def _spec(self, title: str, variables: Iterable[str], *, required: bool) -> dict[str, Any] | None:
        new = [one for one in dict.fromkeys(variables) if one not in self._variables]
        if not new:
            return None
        self._variables.update(new)
        return {"title": title, "required": required, "env": new[0], "aliases": new[1:]}

    def _free(self, name: str) -> str:
        plain = _NO_NAME.sub("_", name.lower()).strip("_") or "value"
        taken = {*self.credentials, *self.settings}
        return next(one for one in (plain, *(f"{plain}_{number}" for number in range(2, 1000))) if one not in taken)


def values_of(form: ManifestForm) -> Values:
    """All that the manifest names, in the order of its weight."""
    values = Values()
    capture = form.setup.credential_capture
    for field in () if capture is None else capture.fields:
        _add_field(values, field, required=field.required and capture is not None and capture.required)
    for variable in form.setup.deployment_config:
        values.credential(variable, _title(variable), [variable], required=True)
    upload = form.setup.manual_or_upload
    if upload is not None:
        variable = upload.import_dir_env_var
        values.setting(variable, upload.label or _title(variable), [variable], required=True, is_path=True)
    _add_auth(values, form)
    _add_requirements(values, form)
    return values


def _add_field(values: Values, field: FieldForm, *, required: bool) -> None:
    if field.secret or field.type == "password":
        values.credential(field.name, field.label, field.variables, required=required)
    else:
        is_path = any(name.endswith(_PATHS) for name in field.variables)
        values.setting(field.name, field.label, field.variables, required=required, is_path=is_path)


def _add_auth(values: Values, form: ManifestForm) -> None:
    auth = form.capabilities.auth
    if auth is None:
        return
    for variable in auth.required:
        values.credential(variable, _title(variable), [variable], required=True)
    for one in (*auth.deployment_config, *auth.connection_config):
        _add_config(values, one)


def _add_config(values: Values, one: ConfigForm) -> None:
    if one.variable is not None:
        values.credential(one.variable, one.label or _title(one.variable), [one.variable], required=one.required)


def _add_requirements(values: Values, form: ManifestForm) -> None:
    needs = form.runtime_requirements
    if needs.local_paths is not None:
        home = needs.local_paths.home_env_override
        named = [(home, "")] if home else []
        named += [(one.env_override, one.label) for one in needs.local_paths.paths if one.env_override]
        for variable, label in named:
            values.setting(variable, label or _title(variable), [variable], required=False, is_path=True)
    tools = [one.detect.executable_env_override for one in needs.external_tools if one.detect is not None]
    for variable in (*needs.environment_variables, *(one for one in tools if one)):
        is_path = variable.endswith(_PATHS)
        values.setting(variable, _title(variable), [variable], required=False, is_path=is_path)


def _title(variable: str) -> str:
    words = variable.lower().replace("_", " ").strip()
    return words[:1].upper() + words[1:]
