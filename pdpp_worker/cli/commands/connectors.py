"""`pdpp-worker connectors`: what can be collected, and what never can."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.cli.output import Json, note, print_json, print_pairs, print_table, say
from pdpp_worker.coverage.documents import connector_document
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import SettingSpec
from pdpp_worker.protocol.stream_manifest import Availability


def connectors(json: Json = False) -> None:
    """List the installed connectors with their streams."""
    manifests = [connector.manifest for _, connector in sorted(registry.all_connectors().items())]
    if json:
        print_json([connector_document(manifest) for manifest in manifests])
        return
    rows = [
        (manifest.name, manifest.version, manifest.queue, ", ".join(stream.name for stream in manifest.supplied))
        for manifest in manifests
    ]
    print_table(("connector", "version", "queue", "streams"), rows)
    for manifest in manifests:
        _print_unsupplied(manifest)
    for why in registry.refused_connectors().values():
        note(why)


def _print_unsupplied(manifest: Manifest) -> None:
    for stream in manifest.streams:
        if stream.availability is not None:
            way = _way(stream.availability)
            say(f"{manifest.name}{way} never supplies {stream.name}: {stream.availability.reason}")


def _way(availability: Availability) -> str:
    """The setting that decides, as the sentence needs it."""
    word = "with" if availability.with_ is not None else "without"
    return f" {word} {availability.setting}" if availability.setting is not None else ""


def print_one(manifest: Manifest) -> None:
    """Print everything about one connector."""
    settings = [(f"setting {name}", _of_setting(spec)) for name, spec in manifest.settings.items()]
    secrets = [
        (f"credential {name}", f"{one.title}{', needed' if one.required else ''}")
        for name, one in manifest.credentials.items()
    ]
    streams = ", ".join(stream.name for stream in manifest.supplied) or "nothing"
    head = [("connector", f"{manifest.name} {manifest.version}: {manifest.title}"), ("queue", manifest.queue)]
    print_pairs([*head, *settings, *secrets, ("supplies", streams)])
    _print_unsupplied(manifest)


def _of_setting(spec: SettingSpec) -> str:
    kind = f"one of {', '.join(spec.choices)}" if spec.choices else spec.type
    default = "needed" if spec.required and spec.default is None else f"default: {spec.default}"
    return f"{spec.title} ({kind}; {default if spec.default is not None or spec.required else 'not needed'})"
