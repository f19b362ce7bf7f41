"""The manifest: what loading it does not refuse already."""

from __future__ import annotations

from pdpp_worker.conformance.errors import Defect
from pdpp_worker.conformance.names import plural
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import SettingSpec
from pdpp_worker.protocol.stream_manifest import StreamManifest

_TYPES: dict[str, type | tuple[type, ...]] = {"integer": int, "number": (int, float), "boolean": bool}


def check_manifest(manifest: Manifest) -> str:
    """Whether the manifest says all that the runtime and the owner have to know."""
    never = {stream.name for stream in manifest.streams if stream not in manifest.supplied}
    for stream in manifest.supplied:
        _check_stream(stream, never)
    if not manifest.supplied:
        raise Defect("it supplies no stream: each is declared as never supplied")
    for name, spec in manifest.settings.items():
        _check_setting(name, spec)
    return f"{plural(len(manifest.supplied), 'stream')} supplied, {len(never)} never"


def _check_stream(stream: StreamManifest, never: set[str]) -> None:
    name, properties = stream.name, stream.schema_.get("properties", {})
    if not stream.schema_:
        raise Defect(f"stream {name!r} has no schema, so that no record could ever be refused")
    if stream.cursor_field is not None and properties and stream.cursor_field not in properties:
        raise Defect(f"stream {name!r} orders versions by {stream.cursor_field!r}, which its schema does not have")
    if lost := never.intersection(stream.parents):
        raise Defect(f"stream {name!r} keeps its place by {lost.pop()!r}, which is never supplied")


def _check_setting(name: str, spec: SettingSpec) -> None:
    kind = _TYPES.get(spec.type, str)
    is_flag = isinstance(spec.default, bool) and spec.type != "boolean"
    if spec.default is not None and (is_flag or not isinstance(spec.default, kind)):
        raise Defect(f"setting {name!r} is of type {spec.type}, but its default is {spec.default!r}")
