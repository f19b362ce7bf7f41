"""A connector is given the settings that its owner gave, or the manifest's defaults."""

from __future__ import annotations

from pathlib import Path

from pdpp_worker import registry
from pdpp_worker.protocol.manifest_parts import SettingSpec
from pdpp_worker.runtime.connection_values import with_defaults


def test_a_path_that_is_empty_by_default_is_not_the_directory_of_the_worker() -> None:
    specs = {"place": SettingSpec(title="A place", type="path", default="")}

    assert with_defaults(specs, {}) == {"place": ""}
    assert with_defaults(specs, {"place": "~/here"}) == {"place": str(Path.home() / "here")}


def test_no_connector_is_sent_to_the_directory_of_the_worker_by_its_defaults() -> None:
    for name, connector in registry.all_connectors().items():
        settings = with_defaults(connector.manifest.settings, {})
        paths = {key: settings[key] for key, one in connector.manifest.settings.items() if one.type in ("path", "file")}

        assert all(not value or Path(value).is_absolute() for value in paths.values()), name
