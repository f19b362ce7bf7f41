"""A connection's settings from text, by the manifest's declarations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import SettingSpec

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def read_settings(manifest: Manifest, given: Sequence[str], held: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings that are held, with `key=value` laid over them; `key=` goes back to the default.

    Raises:
        ConfigurationError: naming the setting, what is wrong with it, and the known ones.
    """
    values = dict(held or {})
    for assignment in given:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"{assignment!r} is not a setting; write it as key=value.")
        spec = _spec(manifest, name)
        values.pop(name, None)
        if text:
            values[name] = _convert(name, spec, text)
    for name, spec in manifest.settings.items():
        if spec.required and spec.default is None and name not in values:
            raise ConfigurationError(f"{manifest.name} needs the setting {name} ({spec.title}); give --set {name}=….")
    return values


def _spec(manifest: Manifest, name: str) -> SettingSpec:
    if name not in manifest.settings:
        known = ", ".join(manifest.settings) or "it has none"
        raise ConfigurationError(f"{manifest.name} has no setting {name!r}; known: {known}.")
    return manifest.settings[name]


def _convert(name: str, spec: SettingSpec, text: str) -> Any:
    wanted = f"one of {', '.join(spec.choices)}" if spec.choices else _WANTED[spec.type]
    try:
        value = _CONVERTERS[spec.type](text)
    except ValueError:
        value = None
    if value is None or (spec.choices and value not in spec.choices):
        raise ConfigurationError(f"The setting {name} is {text!r}; it must be {wanted}.")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _path(text: str) -> str:
    """Absolute: workers run in a directory of their own."""
    return str(Path(text).expanduser().absolute())


def _file(text: str) -> str:
    path = _path(text)
    if not Path(path).exists():
        raise ValueError(text)
    return path


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise ValueError(text)
    return text


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "number": _number,
    "boolean": _boolean,
    "path": _path,
    "file": _file,
    "url": _url,
}
_WANTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "path": "a path",
    "file": "the path of a file or folder that is there",
    "url": "an http:// or https:// URL without a password",
}
