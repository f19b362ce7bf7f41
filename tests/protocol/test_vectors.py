"""The vectors: messages and manifests with the verdict that each must get, through the real way in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pdpp_worker.command.dialect.outgoing import AnswerLine, PageResponse, StartLine
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.profile.mapping import map_manifest

VECTORS = Path(__file__).parent / "vectors"
MANIFESTS = VECTORS / "manifests"

OUTGOING: dict[str, type[BaseModel]] = {
    "START": StartLine,
    "DETAIL_GAPS_PAGE_RESPONSE": PageResponse,
    "INTERACTION_RESPONSE": AnswerLine,
}


def vectors(direction: str | None = None) -> list[dict[str, Any]]:
    """The vectors of one direction."""
    lines = (VECTORS / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [one for one in found if direction in (None, one["direction"])]


def title(vector: Any) -> str:
    """The subject of a vector."""
    return str(vector["why"])[:60]


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_manifest_is_taken_as_it_is(path: Path) -> None:
    given = json.loads(path.read_text(encoding="utf-8"))

    mapped = map_manifest(given, ["program"]).manifest

    assert [one.name for one in mapped.streams] == [one["name"] for one in given["streams"]]


@pytest.mark.parametrize("vector", vectors("manifest"), ids=title)
def test_a_manifest_gets_its_verdict(vector: dict[str, Any]) -> None:
    try:
        map_manifest(vector["message"], ["program"])
        verdict = "accepted"
    except ConfigurationError:
        verdict = "refused"

    assert verdict == vector["expect"]


@pytest.mark.parametrize("vector", vectors("to_connector"), ids=title)
def test_only_what_the_profile_has_is_written(vector: dict[str, Any]) -> None:
    try:
        OUTGOING[vector["message"]["type"]].model_validate(vector["message"])
        verdict = "accepted"
    except ValidationError:
        verdict = "refused"

    assert verdict == vector["expect"]
