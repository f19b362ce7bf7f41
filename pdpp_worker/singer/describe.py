"""Makes a connector out of a tap: reads its catalog, and writes a manifest and a definition."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.schemas import validator_for
from pdpp_worker.singer.asking import ask
from pdpp_worker.singer.definition import COMMAND, CatalogOption, ConfigValue, Definition

_SECRET_NAME = re.compile(r"pass|secret|token|private|credential|api_?key|auth|cookie", re.IGNORECASE)
_SECRET_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_DRAFT_4 = "http://json-schema.org/draft-04/schema#"
_TOO_EXACT = ("multipleOf",)
"""Keywords that are dropped from a tap's schemas: numbers that went through floating point break them."""


@dataclass(frozen=True)
class Described:
    """A tap as a connector."""

    manifest: Manifest
    definition: Definition

    def write(self, folder: Path) -> None:
        """Write the connector's two files, each at once and whole; what was there and is different stays beside them.

        It is called `….before`, then `….before-2` and so on.
        """
        folder.mkdir(parents=True, exist_ok=True)
        definition = self.definition.model_dump_json(indent=2)
        manifest = self.manifest.model_dump_json(by_alias=True, exclude_defaults=True, indent=2)
        for name, content in (("singer.json", definition), ("manifest.json", manifest)):
            path, text = folder / name, content + "\n"
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            if path.exists():
                _keep(path)
            _write_whole(path, text)


def _keep(path: Path) -> None:
    """Copy a file to the first free name beside it."""
    names = (path.with_name(f"{path.name}.before{f'-{number}' if number > 1 else ''}") for number in count(1))
    _write_whole(next(name for name in names if not name.exists()), path.read_text(encoding="utf-8"))


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is at no moment there in part, also when the machine stops."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def find_tap(name: str) -> str:
    """The tap's program, as a whole path.

    Raises:
        ConfigurationError: there is none.
    """
    found = shutil.which(str(Path(name).expanduser()))
    if found is None:
        raise ConfigurationError(
            f"There is no program {name}. Install the tap in an environment of its own and name the program there, "
            "such as ~/taps/github/bin/tap-github."
        )
    return str(Path(found).absolute())


def discover(tap: str, config: Path, *, as_fleet_user: bool = False) -> dict[str, Any]:
    """The tap's catalog. `as_fleet_user`: it may run as this user where no other one can run it.

    Raises:
        ConfigurationError: the tap cannot be asked, or its answer is no catalog.
    """
    asked = ask(tap, config, "--discover", as_fleet_user=as_fleet_user)
    try:
        catalog: dict[str, Any] = json.loads(asked.output)
    except ValueError:
        words = asked.errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigurationError(f"{tap} --discover printed no catalog (exit code {asked.code}): {words}") from None
    if not isinstance(catalog, dict) or not catalog.get("streams"):
        raise ConfigurationError(f"{tap} --discover found no stream; is the configuration right?")
    if not all(isinstance(entry, dict) and entry.get("tap_stream_id") for entry in catalog["streams"]):
        raise ConfigurationError(f"{tap} --discover printed no catalog: a stream of it has no tap_stream_id.")
    return catalog


def catalog_option(tap: str, *, as_fleet_user: bool = False) -> CatalogOption:
    """The option by which the tap takes its catalog, read from its help text."""
    try:
        asked = ask(tap, None, "--help", as_fleet_user=as_fleet_user)
    except ConfigurationError:
        return "catalog"
    words = asked.output + asked.errors
    return "properties" if b"--properties" in words and b"--catalog" not in words else "catalog"


def describe(
    tap: str,
    config: Mapping[str, Any],
    catalog: dict[str, Any],
    *,
    name: str,
    version: str,
    secrets: Collection[str] = (),
    streams: Collection[str] = (),
    taken_by: CatalogOption = "catalog",
    named: Mapping[str, str] | None = None,
) -> Described:
    """The connector of a tap.

    `secrets`: keys of the configuration that are secret although their names do not look so. `streams`: the tap's ids
    of the streams to collect; empty: those that the tap selects by itself. `taken_by`: the option for its catalog.
    `named`: names that streams have already, to the tap's ids.

    Raises:
        ConfigurationError: a key or a stream is not there.
    """
    _require("key of the configuration", secrets, config)
    entries = {str(entry["tap_stream_id"]): entry for entry in catalog["streams"]}
    _require("stream of the tap", streams, entries)
    chosen = streams or [one for one, entry in entries.items() if _is_chosen(entry)] or list(entries)
    hidden = {key for key, value in config.items() if key in secrets or _looks_secret(key, value)}
    variables = {key: ConfigValue(env=_variable(key), type=_type(value)) for key, value in config.items()}
    names = {name: one for name, one in _names([*entries], named or {}).items() if one in chosen}
    fields: dict[str, Any] = {
        "name": name,
        "version": version,
        "title": f"{Path(tap).name} (Singer)",
        "command": list(COMMAND),
        "bindings": ["network"],
        "credentials": {
            _key(key): {"title": f"{key} of the tap", "env": variables[key].env} for key in config if key in hidden
        },
        "settings": {
            _key(key): {"title": f"{key} of the tap", "default": _text(value), "env": variables[key].env}
            for key, value in config.items()
            if key not in hidden
        },
        "streams": [_stream(ours, entries[theirs]) for ours, theirs in names.items()],
    }
    definition = Definition(tap=[tap], catalog_option=taken_by, config=variables, streams=names, catalog=catalog)
    return Described(Manifest.model_validate(fields), definition)


def _require(what: str, wanted: Iterable[str], there: Collection[str]) -> None:
    for one in wanted:
        if one not in there:
            raise ConfigurationError(f"{one!r} is no {what}; known: {', '.join(sorted(there))}.")


def _stream(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    # Not even a replication key of dates orders the versions of a row: an event may be moved to an earlier day.
    return {"name": name, "title": str(entry["tap_stream_id"]), "schema": _schema(entry.get("schema") or {})}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The tap's schema in a form that can be checked: of this time, else of the draft that old taps use."""
    loose: dict[str, Any] = _loosened(schema)
    for candidate in (loose, {**loose, "$schema": _DRAFT_4}):
        try:
            validator_for(candidate)
        except ValueError:
            continue
        return candidate
    return {"type": "object"}


def _loosened(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _loosened(value) for key, value in node.items() if key not in _TOO_EXACT}
    return [_loosened(one) for one in node] if isinstance(node, list) else node


def _own(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The catalog's metadata of a stream as a whole."""
    return next((one["metadata"] for one in entry.get("metadata") or [] if not one["breadcrumb"]), {})


def _is_chosen(entry: Mapping[str, Any]) -> bool:
    own = _own(entry)
    return bool(own.get("selected", own.get("selected-by-default", own.get("inclusion") == "automatic")))


def _looks_secret(key: str, value: Any) -> bool:
    if isinstance(value, dict):
        return any(_looks_secret(f"{key}.{inner}", one) for inner, one in value.items())
    if isinstance(value, list):
        return any(_looks_secret(key, one) for one in value)
    return bool(_SECRET_NAME.search(key) or (isinstance(value, str) and _SECRET_URL.search(value)))


def _names(ids: Collection[str], named: Mapping[str, str]) -> dict[str, str]:
    """Names that a manifest takes, to the tap's ids; a stream that has a name keeps it."""
    names: dict[str, str] = {name: one for name, one in named.items() if one in ids}
    for one in ids:
        if one in names.values():
            continue
        plain = _key(one)
        name, number = plain, 1
        while name in names:
            number += 1
            name = f"{plain}_{number}"
        names[name] = one
    return names


def _key(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"x_{plain}"


def _variable(key: str) -> str:
    return f"SINGER_{_key(key).upper()}"


def _type(value: Any) -> Any:
    return "string" if isinstance(value, str) else "json"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
