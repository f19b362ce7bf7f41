"""A connector whose manifest is wrong is not run; the check of the manifest says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.conformance.report import Ending, examine

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}
DETAIL = {"coverage_strategy": "parent_detail_accounting", "schema": SCHEMA}


def stream(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "schema": SCHEMA, **fields}


def package(directory: Path, *streams: dict[str, Any], **fields: Any) -> Path:
    """A connector's folder with this manifest."""
    content = {"name": "sample", "version": "1.0", "title": "Sample", "streams": list(streams), **fields}
    (directory / "manifest.json").write_text(json.dumps(content))
    return directory


@pytest.mark.parametrize(
    ("streams", "fields", "sentence"),
    [
        (
            [stream("a", parent_streams=["b"], **DETAIL), stream("b", parent_streams=["a"], **DETAIL)],
            {},
            "the streams' parents form a cycle: a -> b -> a",
        ),
        ([stream("a", parent_streams=["z"], **DETAIL)], {}, "stream a names the unknown parent z"),
        ([stream("a", parent_streams=["a"], **DETAIL)], {}, "stream a names itself as its parent"),
        ([{"name": "a"}], {}, "Stream 'a' has no schema"),
        ([stream("a", cursor_field="updated")], {}, "Stream 'a' orders versions by 'updated'"),
        (
            [stream("a", availability={"supplied": False, "reason": "never"})],
            {},
            "supplies no stream",
        ),
        (
            [stream("a"), stream("b", availability={"supplied": False, "reason": "never"})],
            {"settings": {"size": {"title": "Size", "type": "integer", "default": "ten"}}},
            "Setting 'size' is of type integer, but its default is 'ten'",
        ),
    ],
)
def test_a_wrong_manifest_is_named(
    tmp_path: Path, streams: list[dict[str, Any]], fields: dict[str, Any], sentence: str
) -> None:
    first = next(examine(str(package(tmp_path, *streams, **fields))))

    assert (first.check, first.ending) == ("manifest", Ending.FAILED)
    assert sentence in first.found


def test_what_a_refused_manifest_leaves_unknown_is_not_called_passed(tmp_path: Path) -> None:
    directory = package(tmp_path, stream("a", parent_streams=["z"], **DETAIL))

    _, *others = examine(str(directory))

    assert {one.ending for one in others} == {Ending.NOT_CHECKED}


def test_without_a_practice_account_only_the_manifest_is_checked(tmp_path: Path) -> None:
    (tmp_path / "accountless_sample").mkdir()
    directory = package(tmp_path / "accountless_sample", stream("a"))
    (directory / "__init__.py").touch()
    (directory / "connector.py").write_text("def collect(start, context):\n    return iter(())\n")

    manifest, *others = examine(str(directory))

    assert manifest.ending is Ending.PASSED
    assert {one.ending for one in others} == {Ending.NOT_CHECKED}
    assert "conformance.py is missing beside the manifest" in others[0].found
