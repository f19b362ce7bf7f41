"""A manifest is refused before anything starts, in one sentence that names the file, the place and the mistake."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.protocol.manifest_parts import Pacing

DETAIL = {"coverage_strategy": "parent_detail_accounting"}
WINDOW = {"coverage_strategy": "checkpoint_window"}


def manifest(*streams: Any, **fields: Any) -> dict[str, Any]:
    """A manifest that is right but for what the test changes."""
    declared = [{"name": one} if isinstance(one, str) else one for one in streams or ("items",)]
    return {"name": "sample", "version": "1.2.0", "title": "Sample", "streams": declared, **fields}


def load(tmp_path: Path, content: Any) -> Manifest:
    """Load a manifest from a file."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    return load_manifest(path)


def refusal(tmp_path: Path, content: Any) -> str:
    """The refusal of a manifest, after the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, content)
    begin = f"The manifest {tmp_path / 'manifest.json'} is refused: "
    text = str(caught.value)
    assert text.startswith(begin)
    assert text.endswith(".")
    return text.removeprefix(begin)


def test_a_small_manifest_is_enough(tmp_path: Path) -> None:
    read = load(tmp_path, manifest())

    assert (read.checkpoint_commit, read.queue, read.pacing.min_interval_ms) == ("on_done", "collect", 1000.0)
    assert read.streams[0].is_checkpoint


@pytest.mark.parametrize(
    ("streams", "sentence"),
    [
        pytest.param(
            [{"name": "a", "parent_streams": ["a"], **DETAIL}],
            "stream a names itself as its parent",
            id="its own parent",
        ),
        pytest.param(
            [{"name": "a", "state_stream": "a", **WINDOW}], "stream a names itself as its parent", id="its own state"
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": ["a", "x"], **DETAIL}],
            "stream b names the unknown parent x",
            id="unknown parent",
        ),
        pytest.param(
            [{"name": "b", "state_stream": "x", **WINDOW}], "stream b names the unknown parent x", id="unknown state"
        ),
        pytest.param(
            ["a", {"name": "b", "belongs_to": {"x": "a_id"}}],
            "stream b belongs to the unknown stream x",
            id="unknown owner",
        ),
        pytest.param(
            [{"name": "a", "belongs_to": {"b": "b_id"}}, {"name": "b", "belongs_to": {"a": "a_id"}}],
            "the streams' parents form a cycle: a -> b -> a",
            id="owners in a circle",
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": ["a", "a"], **DETAIL}],
            "stream b names a parent twice",
            id="duplicate parent",
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": ["a"], "state_stream": "a", **DETAIL}],
            "stream b declares both state_stream and parent_streams; use one",
            id="both fields",
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": [], **DETAIL}],
            "stream b declares an empty parent_streams; name a parent or leave it out",
            id="empty list",
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": ["a"], **WINDOW}],
            "stream b has coverage_strategy checkpoint_window; it must be parent_detail_accounting",
            id="window with parents",
        ),
        pytest.param(
            ["a", {"name": "b", "state_stream": "a", **DETAIL}],
            "stream b has coverage_strategy parent_detail_accounting; it must be checkpoint_window",
            id="accounting with a state stream",
        ),
        pytest.param(
            ["a", {"name": "b", "parent_streams": ["a"]}],
            "stream b has coverage_strategy None; it must be parent_detail_accounting",
            id="no strategy",
        ),
        pytest.param(
            [{"name": "a", **WINDOW}],
            "stream a has coverage_strategy checkpoint_window; it must be None",
            id="a strategy without a parent",
        ),
        pytest.param(["a", "b", "a"], "a stream is declared twice", id="declared twice"),
        pytest.param(
            [{"name": "a", "parent_streams": ["b"], **DETAIL}, {"name": "b", "state_stream": "a", **WINDOW}],
            "the streams' parents form a cycle: ",
            id="cycle of two",
        ),
    ],
)
def test_a_wrong_dependency_is_refused(tmp_path: Path, streams: list[Any], sentence: str) -> None:
    assert sentence in refusal(tmp_path, manifest(*streams))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"version": "one"}, "version: version 'one' is not a PEP 440 version such as 1.2.0"),
        ({"version": ""}, "version: version '' is not a PEP 440 version"),
        ({"name": "Sample"}, "name: String should match pattern"),
        ({"name": "my-sample"}, "name: String should match pattern"),
        ({"streams": []}, "streams: List should have at least 1 item"),
        ({"queue": "control"}, "queue: Input should be 'collect' or 'local'"),
        ({"bindings": ["teleport"]}, "bindings.0: Input should be 'network'"),
        ({"pacing": {"min_interval_ms": 0}}, "pacing.min_interval_ms: Input should be greater than 0"),
        ({"schedule_every_s": -1}, "schedule_every_s: Input should be greater than 0"),
        ({"recovery": {"targeted_fetch_rate_hint": "often"}}, "recovery.targeted_fetch_rate_hint: String should match"),
        ({"invented": 1}, "invented: Extra inputs are not permitted"),
        *(
            ({"settings": {"helper": {"title": "x", "env": name}}}, f"settings.helper.env: {name} is read by")
            for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "GCONV_PATH", "GLIBC_TUNABLES", "PATH")
        ),
        ({"streams": [{"name": "a", "invented": 1}]}, "streams.0.invented: Extra inputs are not permitted"),
        ({"streams": [{"name": "a*"}]}, "streams.0.name: String should match pattern"),
        ({"streams": [{"name": "a", "schema": {"type": "objekt"}}]}, "streams.0.schema: schema is not a JSON Schema: "),
        (
            {"streams": [{"name": "a", "availability": {"supplied": False, "reason": ""}}]},
            "streams.0.availability.reason",
        ),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    assert refusal(tmp_path, manifest(**fields)).startswith(sentence)


@pytest.mark.parametrize("field", ["name", "version", "title", "streams"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    content = {name: value for name, value in manifest().items() if name != field}

    assert refusal(tmp_path, content) == f"{field}: Field required."


def test_what_is_no_object_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, []).startswith("manifest: ")


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"{", "is not JSON"), (b"\xff", "is not UTF-8 text"), (b"", "is not JSON")]
)
def test_a_file_that_is_no_json_says_so(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"The manifest {path} {sentence}"):
        load_manifest(path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        load_manifest(tmp_path / "manifest.json")


def parents(graph: dict[str, list[str]]) -> dict[str, Any]:
    """A manifest with these parents."""
    return manifest(
        *({"name": name, "parent_streams": above, **DETAIL} if above else name for name, above in graph.items())
    )


@given(st.integers(2, 30), st.integers(0, 3), st.randoms())
def test_a_cycle_of_any_length_is_refused(length: int, outside: int, order: Any) -> None:
    circle = {f"s{n}": [f"s{(n + 1) % length}"] for n in range(length)}
    tail = {f"t{n}": [f"s{n % length}"] for n in range(outside)}
    names = [*circle, *tail]
    order.shuffle(names)

    with pytest.raises(ValidationError, match="the streams' parents form a cycle: s"):
        Manifest.model_validate(parents({name: {**circle, **tail}[name] for name in names}))


def test_a_very_long_cycle_is_refused_too() -> None:
    with pytest.raises(ValidationError, match="form a cycle"):
        Manifest.model_validate(parents({f"s{n}": [f"s{(n + 1) % 3000}"] for n in range(3000)}))


@given(st.data())
def test_parents_without_a_cycle_are_accepted(data: st.DataObject) -> None:
    names = [f"s{n}" for n in range(data.draw(st.integers(1, 8)))]
    graph = {
        name: data.draw(st.lists(st.sampled_from(names[:n]), unique=True, max_size=3)) if n else []
        for n, name in enumerate(names)
    }
    order = data.draw(st.permutations(names))

    read = Manifest.model_validate(parents({name: graph[name] for name in order}))

    assert {one.name: one.parents for one in read.streams} == graph
    assert {one.name for one in read.streams if one.is_checkpoint} == {name for name in names if not graph[name]}


def test_the_cycle_is_told_from_each_stream_to_its_parent() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": ["a"]}

    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(parents(graph))

    path = str(caught.value).partition("cycle: ")[2].partition(" [")[0].split(" -> ")
    assert path[0] == path[-1]
    assert all(above in graph[name] for name, above in pairwise(path))


def test_streams_that_are_never_supplied_are_known_but_not_asked_for(tmp_path: Path) -> None:
    stars = {"name": "stars", "availability": {"supplied": False, "reason": "The export does not hold stars."}}

    read = load(tmp_path, manifest("items", stars))

    assert [stream.name for stream in read.supplied] == ["items"]
    assert read.stream("stars") is not None
    assert read.stream("elsewhere") is None


def test_a_stream_may_be_out_of_reach_of_some_connections_only(tmp_path: Path) -> None:
    stars = {"name": "stars", "availability": {"supplied": False, "with": "archive", "reason": "Not in an export."}}

    read = load(tmp_path, manifest("items", stars, settings={"archive": {"title": "Export", "type": "file"}}))

    assert [stream.name for stream in read.supplied] == ["items", "stars"]
    assert [stream.name for stream in read.supplied_to({})] == ["items", "stars"]
    assert [stream.name for stream in read.supplied_to({"archive": "x.zip"})] == ["items"]


def test_a_stream_may_be_absent_without_one_setting_only(tmp_path: Path) -> None:
    stars = {"name": "stars", "availability": {"supplied": False, "without": "archive", "reason": "Only in an export."}}

    read = load(tmp_path, manifest("items", stars, settings={"archive": {"title": "Export", "type": "file"}}))

    assert [stream.name for stream in read.supplied] == ["items", "stars"]
    assert [stream.name for stream in read.supplied_to({})] == ["items"]
    assert [stream.name for stream in read.supplied_to({"archive": "x.zip"})] == ["items", "stars"]


def test_an_availability_depends_on_one_setting(tmp_path: Path) -> None:
    both = {"supplied": False, "with": "archive", "without": "archive", "reason": "Never."}
    settings = {"archive": {"title": "Export", "type": "file"}}

    assert "both with and without" in refusal(
        tmp_path, manifest({"name": "s", "availability": both}, settings=settings)
    )


def test_a_stream_cannot_depend_on_a_setting_that_is_none(tmp_path: Path) -> None:
    stars = {"name": "stars", "availability": {"supplied": False, "with": "archive", "reason": "Not in an export."}}

    with pytest.raises(ConfigurationError, match="unknown setting archive"):
        load(tmp_path, manifest("items", stars))


@pytest.mark.parametrize(
    ("bindings", "default", "choices"),
    [(["network", "browser_profile"], "http", ["http", "browser"]), (["browser_profile"], "browser", ["browser"])],
)
def test_a_browser_binding_lets_the_connection_choose_its_road(
    tmp_path: Path, bindings: list[str], default: str, choices: list[str]
) -> None:
    reach = load(tmp_path, manifest("items", bindings=bindings)).settings["reach"]

    assert (reach.default, reach.choices) == (default, choices)


@pytest.mark.parametrize("path", sorted(Path("connectors").glob("*/manifest.json")), ids=lambda path: path.parent.name)
def test_the_manifests_of_this_project_are_right(path: Path) -> None:
    assert load_manifest(path).name == path.parent.name


class TestLanes:
    """Which of a connector's requests the provider limits apart."""

    PACING = Pacing(lanes={"history": ["*/conversations.history"], "others": ["/api/*"]})

    @pytest.mark.parametrize(
        ("path", "lane"),
        [("/api/conversations.history", "history"), ("/api/users.list", "others"), ("/files/1", ""), ("", "")],
    )
    def test_a_request_is_in_the_first_lane_that_fits_its_path(self, path: str, lane: str) -> None:
        assert self.PACING.lane_of(path) == lane

    @pytest.mark.parametrize("lanes", [{"History": ["*"]}, {"": ["*"]}, {"history": []}, {"history": [""]}])
    def test_a_lane_needs_a_plain_name_and_a_pattern(self, lanes: dict[str, list[str]]) -> None:
        with pytest.raises(ValidationError):
            Pacing(lanes=lanes)


ABSENT = {"supplied": False, "reason": "It is computed."}


def test_a_view_is_named_for_a_stream_that_nothing_supplies(tmp_path: Path) -> None:
    read = load(tmp_path, manifest("items", {"name": "sums", "availability": ABSENT, "view": "sums.sql"}))

    assert [stream.view for stream in read.streams] == [None, "sums.sql"]


def test_a_view_of_a_stream_that_is_collected_is_refused(tmp_path: Path) -> None:
    assert "nothing supplies it" in refusal(tmp_path, manifest({"name": "sums", "view": "sums.sql"}))


def test_a_command_may_bring_no_sql(tmp_path: Path) -> None:
    sums = {"name": "sums", "availability": ABSENT, "view": "sums.sql"}

    assert "only an installed package" in refusal(tmp_path, manifest("items", sums, command=["./run"]))


def test_a_view_lies_beside_its_manifest(tmp_path: Path) -> None:
    assert "view" in refusal(tmp_path, manifest({"name": "s", "availability": ABSENT, "view": "../secret.sql"}))
