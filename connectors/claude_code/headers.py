"""The name and the description in the header of a document: the part of YAML that such headers use."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
_PAIR = re.compile(r"(name|description):(.*)")
_BLOCK = re.compile(r"([|>])([-+]?\d?|\d[-+]?)[ \t]*(#.*)?")


def header_fields(text: str) -> dict[str, str]:
    """The top-level `name` and `description` of a header; those of it that are there and not empty."""
    header = _HEADER.match(text)
    lines = header.group(1).splitlines() if header else []
    fields: dict[str, str] = {}
    for number, line in enumerate(lines):
        pair = _PAIR.fullmatch(line)
        if pair is not None:
            value = _value(pair[2].strip(" \t"), _continuation(lines[number + 1 :]))
            if value:
                fields[pair[1]] = value
    return fields


def _continuation(lines: list[str]) -> list[str]:
    """The indented lines that follow, and the empty ones among them."""
    count = next((at for at, line in enumerate(lines) if line.strip() and line[0] not in " \t"), len(lines))
    return lines[:count]


def _value(first: str, rest: list[str]) -> str:
    block = _BLOCK.fullmatch(first)
    if block is None:
        return _plain(" ".join([first, *(line.strip() for line in rest)]).strip())
    indent = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    lines = [line[indent:].rstrip() for line in rest]
    return ("\n".join(lines) if block[1] == "|" else _folded(lines)).strip("\n")


def _folded(lines: list[str]) -> str:
    """Lines joined by spaces; an empty line stands for a line break."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", "\n".join(lines)).replace("\n\n", "\n")


def _plain(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
