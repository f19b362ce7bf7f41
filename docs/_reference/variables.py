"""The page of the settings."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from docs._reference.markdown import code, field_docs, table
from pdpp_worker.settings import Settings

_UNITS = {"_s": "seconds", "_ms": "ms", "_days": "days", "_bytes": "bytes"}


def settings_page() -> str:
    """Every setting with its type, unit, default and meaning."""
    texts = field_docs(Settings)
    rows = [
        (code(f"PDPP_{name.upper()}"), _type(name, field), _default(field), texts[name])
        for name, field in Settings.model_fields.items()
    ]
    return (
        "# Settings\n\nEvery setting is an environment variable. An empty variable counts as unset.\n\n"
        + table(("variable", "value", "default", "meaning"), rows)
        + "\nEach connector has one more: `PDPP_<CONNECTOR>_PACING_MIN_INTERVAL_MS`, its rate ceiling, ms between two "
        "requests.\n[Operating](../operating.md#settings) says what to set for several machines.\n"
    )


def _type(name: str, field: FieldInfo) -> str:
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    return unit or _name(field.annotation)


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(code(value) for value in get_args(annotation))
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType] or [annotation]
    names = {"SecretStr": "text, secret", "Path": "path", "bool": "true or false", "int": "number", "float": "number"}
    return names.get(kinds[0].__name__, "text")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "by the user's account"
    return "unset" if field.default is None else code(field.default)
