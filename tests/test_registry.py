"""Which connectors there are."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError, NotFoundError

BUILT_IN = sorted(path.parent.name for path in Path("connectors").glob("*/manifest.json"))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """The registry remembers nothing of, or from, another test."""
    registry._packaged.cache_clear()
    yield
    registry._packaged.cache_clear()


def offer(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let installed packages offer connectors."""
    points = [metadata.EntryPoint("x", package, registry.ENTRY_POINT_GROUP) for package in packages]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)


def package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, *, connector: str, code: str | None = ""
) -> None:
    """Put a connector's package on the path."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    content = {"name": connector, "version": "1.0", "title": "Sample", "streams": [{"name": "items"}]}
    (folder / "manifest.json").write_text(json.dumps(content))
    if code is not None:
        (folder / "connector.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_every_folder_of_connectors_is_found_under_its_own_name() -> None:
    found = registry.all_connectors()

    assert BUILT_IN
    assert [name for name, one in sorted(found.items()) if one.package.startswith("connectors.")] == BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_connector_can_be_loaded(name: str) -> None:
    assert callable(registry.get(name).load())


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(NotFoundError) as caught:
        registry.get("nowhere")

    assert str(caught.value) == f"There is no connector named 'nowhere'; known: {', '.join(registry.all_connectors())}."


def test_a_package_can_offer_a_connector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package(monkeypatch, tmp_path, "offered_sample", connector="sample", code="def collect(start, context): ...")
    offer(monkeypatch, "offered_sample")

    assert callable(registry.get("sample").load())


def test_a_package_that_came_later_is_found_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "sample" not in registry.all_connectors()
    package(monkeypatch, tmp_path, "offered_later", connector="sample")
    offer(monkeypatch, "offered_later")

    assert registry.get("sample").package == "offered_later"


def test_two_connectors_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = BUILT_IN[0]
    package(monkeypatch, tmp_path, "offered_twin", connector=taken)
    offer(monkeypatch, "offered_twin")

    assert registry.all_connectors()[taken].package == f"connectors.{taken}"
    assert registry.refused_connectors() == {
        "offered_twin": f"Two connectors are named {taken}: connectors.{taken} and offered_twin; remove one."
    }


@pytest.mark.parametrize("name", ["not_there", "not_there.inside", "json.decoder", "json.decoder.inside"])
def test_a_package_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    offer(monkeypatch, name)

    assert registry.refused_connectors() == {"x": f"The connector package {name} is not installed."}
    assert sorted(registry.all_connectors()) == BUILT_IN


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("offered_empty", None, "No module named 'offered_empty.connector'"),
        ("offered_other", "def gather(start, context): ...", "has no attribute 'collect'"),
        ("offered_broken", "import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("offered_unfinished", "def collect(", "SyntaxError"),
        ("offered_raising", "raise RuntimeError('not today')", "RuntimeError: not today"),
    ],
)
def test_code_that_cannot_be_loaded_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, code: str | None, why: str
) -> None:
    package(monkeypatch, tmp_path, name, connector="sample", code=code)
    offer(monkeypatch, name)

    with pytest.raises(ConfigurationError, match=f"The connector sample cannot be loaded from {name}.connector: ") as e:
        registry.get("sample").load()
    assert why in str(e.value)


def test_a_refused_manifest_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package(monkeypatch, tmp_path, "offered_wrong", connector="Not A Name")
    offer(monkeypatch, "offered_wrong")

    assert re.search(r"offered_wrong/manifest\.json is refused: name: ", registry.refused_connectors()["x"])
    with pytest.raises(ConfigurationError, match="is refused: name: "):
        registry.get("x")


def test_a_package_that_fails_when_it_is_looked_for_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package(monkeypatch, tmp_path, "offered_deep", connector="sample")
    (tmp_path / "offered_deep" / "__init__.py").write_text("raise RuntimeError('not today')")
    offer(monkeypatch, "offered_deep.inside")

    assert "offered_deep.inside cannot be loaded: RuntimeError: not today." in registry.refused_connectors()["x"]
    assert sorted(registry.all_connectors()) == BUILT_IN
