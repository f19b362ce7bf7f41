"""Options as command line arguments, in both directions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from pdpp_worker.conformance.quota.options import QuotaOptions

GROUPS: dict[str, type[QuotaOptions] | type[FaultOptions]] = {"quota": QuotaOptions, "faults": FaultOptions}


def parse(arguments: Sequence[str] | None = None) -> ProviderOptions:
    """The options that a command line gives; ends the process with a message when they mean nothing."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        quota, faults = QuotaOptions(**_group(given, "quota")), FaultOptions(**_group(given, "faults"))
        plain = {name: value for name, value in given.items() if "." not in name}
        return ProviderOptions(**plain, quota=quota, faults=faults)
    except (TypeError, ValueError) as error:
        parser.error(str(error))


def arguments(options: ProviderOptions) -> list[str]:
    """The command line that gives these options; paths become absolute."""
    plain = {name: value for name, value in _chosen(options).items() if name not in GROUPS}
    lines = ["--watch-stdin"] if plain.pop("watch_stdin", False) else []
    lines += [f"--{_kebab(name)}={_text(value)}" for name, value in plain.items()]
    for group in GROUPS:
        chosen = _chosen(getattr(options, group))
        lines += [f"--{group}-{_kebab(name)}={_text(value)}" for name, value in chosen.items()]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m connectors.chatgpt.practice",
        description="A local server that answers like the web backend of ChatGPT, for an account made from a seed.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--conversations", type=int)
    parser.add_argument("--port", type=int, help="0, the default: a free port")
    parser.add_argument("--token", help="the access token that is let in")
    parser.add_argument("--session-token", help="the session cookie that is traded for it")
    parser.add_argument("--log", type=Path, help="append every request to this file, as JSON lines")
    parser.add_argument("--ready-file", type=Path, help="write the base URL here once the server listens")
    parser.add_argument("--state", type=Path, help="keep here what happens to the account")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input, a pipe, ends")
    for group, form in GROUPS.items():
        for option in fields(form):
            flag, name = f"--{group}-{_kebab(option.name)}", f"{group}.{option.name}"
            parser.add_argument(flag, dest=name, type=_value, metavar="VALUE", help="see options.py; lists as JSON")
    return parser


def _group(given: dict[str, Any], group: str) -> dict[str, Any]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}


def _chosen(options: ProviderOptions | QuotaOptions | FaultOptions) -> dict[str, Any]:
    plain = type(options)()
    pairs = ((option.name, getattr(options, option.name)) for option in fields(options))
    return {name: value for name, value in pairs if value != getattr(plain, name)}


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    return value if isinstance(value, str) else json.dumps(value)
