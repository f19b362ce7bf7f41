"""The pages of the manifest and of the messages: every member with its type and default."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs._reference.markdown import code, field_docs, table
from pdpp_worker.protocol import manifest, messages


def manifest_page() -> str:
    """Every member of `manifest.json`, part by part."""
    parts: list[type[BaseModel]] = [manifest.Manifest, *_beside(manifest.Manifest)]
    text = "# The manifest\n\n`manifest.json` of a connector. Unknown members are refused.\n"
    return text + "".join(_part(part) for part in parts)


def message_types() -> list[type[BaseModel]]:
    """START, its answers and what a connector sends, with the members of an inventory."""
    sent = [one if issubclass(one, BaseModel) else messages.RecordForm for one in get_args(messages.Message)]
    return [messages.Start, *sent, messages.SourceMember, messages.InteractionResponse]


def messages_page() -> str:
    """Every message with its fields."""
    types = message_types()
    used = [one for one in _beside(messages.Start) if not issubclass(one, tuple(types))]
    text = "# Messages\n\nThe messages between the runtime and a connector. Unknown fields are ignored.\n"
    return text + "".join(_part(one) for one in [*types, *used])


def _beside(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The other models of a model's module that share its base."""
    base = model.__mro__[1]
    found = [one for one in vars(sys.modules[model.__module__]).values() if inspect.isclass(one)]
    return [one for one in found if issubclass(one, BaseModel) and issubclass(one, base) and one not in (base, model)]


def _part(model: type[BaseModel]) -> str:
    texts = field_docs(model)
    names = model.__pydantic_fields__
    schema = model.model_json_schema(by_alias=True)["properties"]
    rows = [
        (code(field.alias or name), json_type(schema[field.alias or name]), _default(field), texts.get(name, ""))
        for name, field in names.items()
    ]
    about = " ".join(inspect.getdoc(model).split()) if model.__doc__ else ""  # type: ignore[union-attr]
    return f"\n## {model.__name__.removesuffix('Form')}\n\n{about}\n\n" + table(("member", "type", "default", ""), rows)


def json_type(schema: dict[str, Any]) -> str:
    """A JSON Schema as a phrase."""
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(dict.fromkeys(json_type(one) for one in schema.get("anyOf") or schema["oneOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return ", ".join(code(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {json_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    return code(json.dumps(sorted(value) if isinstance(value, frozenset) else value))
