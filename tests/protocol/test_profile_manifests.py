"""Manifests in the profile's form: what each member comes to here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.profile.mapping import Mapped, map_manifest
from tests.protocol.test_vectors import MANIFESTS


def load(name: str, **fields: Any) -> Mapped:
    """A manifest of the vectors, with other members."""
    given = json.loads((MANIFESTS / f"{name}.json").read_text())
    return map_manifest({**given, **fields}, ["program"])


def manifest(name: str, **fields: Any) -> Manifest:
    """Ours of it."""
    return load(name, **fields).manifest


def test_a_name_with_hyphens_has_underscores_here_and_is_told_as_it_was() -> None:
    found = manifest("garmin-connect")

    assert (found.name, found.connector_key) == ("garmin_connect", "garmin-connect")


def test_a_value_reaches_every_variable_of_its_field() -> None:
    assert manifest("pinboard").credentials["secret"].variables == ["PINBOARD_TOKEN", "PINBOARD_API_TOKEN"]


def test_what_is_secret_is_a_credential_and_the_rest_a_setting() -> None:
    found = manifest("garmin-connect")

    assert list(found.credentials) == ["username", "password"]
    assert {"region", "garmin_mfa_method"} <= set(found.settings)


def test_of_an_optional_block_nothing_is_required() -> None:
    found = manifest("garmin-connect")

    required = [one.required for one in found.credentials.values()] + [one.required for one in found.settings.values()]
    assert not any(required)


def test_a_folder_for_imports_is_a_required_path() -> None:
    found = manifest("goodreads-export").settings["goodreads_export_dir"]

    assert (found.type, found.required, found.variables) == ("path", True, ["GOODREADS_EXPORT_DIR"])


def test_an_oauth_sign_in_leaves_its_values_to_the_owner_and_is_named() -> None:
    found = load("todoist")

    assert [one.env for one in found.manifest.credentials.values()] == [
        "TODOIST_CLIENT_ID",
        "TODOIST_CLIENT_SECRET",
        "TODOIST_REFRESH_TOKEN",
    ]
    assert "OAuth" in found.unmapped[0]


@pytest.mark.parametrize(
    ("name", "scheduled", "every_s"),
    [
        ("pinboard", True, 3600.0),
        ("zotero-local", True, 900.0),
        ("goodreads-export", False, 3600.0),
        ("garmin-connect", False, 3600.0),
    ],
)
def test_what_may_disturb_its_owner_is_not_scheduled(name: str, scheduled: bool, every_s: float) -> None:
    found = manifest(name)

    assert (found.is_scheduled, found.schedule_every_s) == (scheduled, every_s)


def test_a_stream_that_is_never_supplied_says_why() -> None:
    found = {one.name: one.availability for one in manifest("garmin-connect").streams}["sleep"]

    assert found is not None
    assert found.reason == "The web page does not show it. (mode: browser)"


def test_parents_keys_and_times_are_kept() -> None:
    tags = manifest("pinboard").stream("tags")
    tasks = manifest("todoist").stream("tasks")

    assert tags is not None
    assert (tags.parents, tags.primary_key) == (["bookmarks"], ["bookmark_id", "tag"])
    assert tasks is not None
    assert (tasks.time_field, tasks.cursor_field, tasks.resource_field) == ("created_at", "changed_at", "project_id")


def test_tools_and_paths_of_this_machine_are_kept() -> None:
    found = manifest("zotero-local")

    assert [(one.executable, one.arguments) for one in found.tools] == [("pdftotext", ["-v"])]
    assert found.settings["zotero_db"].type == "path"
    assert found.settings["zotero_include_groups"].type == "string"


def test_who_may_be_asked_needs_an_owner_at_hand() -> None:
    assert "interactive" in manifest("garmin-connect").bindings
    assert "interactive" not in manifest("pinboard").bindings


@pytest.mark.parametrize(
    ("given", "version", "semver"),
    [
        ("1.2.0", "1.2.0", None),
        ("1.2.0-nightly", "1.2.0+nightly", "1.2.0-nightly"),
        ("2.0.0-alpha.beta_7", "2.0.0+alpha.beta.7", "2.0.0-alpha.beta_7"),
    ],
)
def test_a_version_that_is_not_ours_keeps_its_numbers(given: str, version: str, semver: str | None) -> None:
    found = manifest("pinboard", version=given)

    assert (found.version, found.semver) == (version, semver)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        ({"state_stream": "a", "coverage_strategy": "checkpoint_window"}, "itself as its parent"),
        ({"state_stream": "c", "coverage_strategy": "checkpoint_window"}, "the unknown parent c"),
        ({"parent_streams": [], "coverage_strategy": "parent_detail_accounting"}, "an empty parent_streams"),
        ({"parent_streams": ["b", "b"], "coverage_strategy": "parent_detail_accounting"}, "a parent twice"),
        (
            {"parent_streams": ["b"], "state_stream": "b", "coverage_strategy": "checkpoint_window"},
            "parent_streams needs coverage_strategy",
        ),
        ({"parent_streams": ["b"], "coverage_strategy": "full_inventory"}, "parent_streams needs coverage_strategy"),
    ],
)
def test_parents_that_cannot_be_are_refused(stream: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        manifest("pinboard", streams=[{"name": "a", **stream}, {"name": "b"}])


@pytest.mark.parametrize("strategy", ["checkpoint_window", "full_inventory", "parent_detail_accounting"])
def test_without_parents_every_strategy_is_taken(strategy: str) -> None:
    assert manifest("pinboard", streams=[{"name": "a", "coverage_strategy": strategy}]).streams
