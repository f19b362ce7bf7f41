"""Describes a connector that was added: its questions, its program, and the parts that are left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pdpp_worker.added.added_connectors import Added
from pdpp_worker.added.tools import missing_tools
from pdpp_worker.cli.output import note, print_pairs, say
from pdpp_worker.coverage.times import duration
from pdpp_worker.protocol.manifest import Manifest


def describe(added: Added) -> None:
    """Print it."""
    print_pairs(list(_facts(added)))
    for text in (*added.unmapped, *missing_tools(added.manifest)):
        note(text)
    if not added.program.is_there:
        note(f"The program {added.program.command[0]} is not on this machine.")
    say(f"Add an account with: pdpp-worker connection add NAME --connector {added.manifest.name}{_options(added)}")


def _facts(added: Added) -> Iterator[tuple[str, str]]:
    manifest = added.manifest
    yield "streams", ", ".join(f"{one.name}{'' if one.required else ' (optional)'}" for one in manifest.supplied)
    for one in manifest.streams:
        if one not in manifest.supplied and one.availability is not None:
            yield "never", f"{one.name}: {one.availability.reason}"
    yield "asks for", "\n".join(_asked(manifest)) or "nothing"
    yield "runs", f"{shlex.join(added.program.command)} in {added.program.folder}"
    yield "needs", ", ".join(manifest.bindings) or "nothing"
    every = f"every {duration(manifest.schedule_every_s)}"
    by_hand = "by hand: " + ("it may ask for its owner" if manifest.asks_owner else "its manifest asks for that")
    yield "schedule", every if manifest.is_scheduled else by_hand


def _asked(manifest: Manifest) -> Iterator[str]:
    for name, credential in manifest.credentials.items():
        yield f"{name} (secret{'' if credential.required else ', optional'}): {credential.title}"
    for name, setting in manifest.settings.items():
        yield f"{name} ({setting.type}{'' if setting.required else ', optional'}): {setting.title}"


def _options(added: Added) -> str:
    required = [name for name, one in added.manifest.settings.items() if one.required]
    return "".join(f" --set {name}=…" for name in required)
