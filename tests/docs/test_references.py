"""The generated pages lack nothing that the code has."""

from __future__ import annotations

import ast

import pytest

from docs._reference.commands import EXIT_CODES, commands
from docs._reference.json_output import OUTPUTS, json_page, keys
from docs._reference.markdown import field_docs
from docs._reference.pages import PAGES
from docs._reference.profile import message_types
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.settings import Settings
from tests.support.pages import ROOT


def page(name: str) -> str:
    """A generated page."""
    return PAGES[f"reference/{name}.md"]()


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert [path for path in PAGES if path not in navigation] == []


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_there_and_explained(setting: str) -> None:
    assert f"`PDPP_{setting.upper()}`" in page("settings")
    assert field_docs(Settings)[setting]


def test_every_command_and_option_is_there() -> None:
    text = page("commands")

    for name, command in commands():
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert [one.opts[0] for one in command.params if one.opts[0] != one.name and one.opts[0] not in part] == []


def test_every_command_with_json_has_its_keys() -> None:
    printing = {name for name, command in commands() if any("--json" in one.opts for one in command.params)}

    assert printing == set(OUTPUTS)
    assert [name for name in OUTPUTS if not keys(name)] == []
    assert all(f"\n## {name}\n" in json_page() for name in OUTPUTS)


def test_every_exit_code_of_the_source_is_there() -> None:
    codes = {0, 2}
    for path in (ROOT / "pdpp_worker" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Exit":
                constants = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                codes |= {value for value in constants if isinstance(value, int)}
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXIT_CODES":
                codes |= set(ast.literal_eval(node.value).values())

    assert codes == set(EXIT_CODES)


def test_every_message_and_field_is_there() -> None:
    text = page("messages")

    for message in message_types():
        part = text.split(f"\n## {message.__name__.removesuffix('Form')}\n")[1].split("\n## ")[0]
        assert [name for name, field in message.model_fields.items() if f"`{field.alias or name}`" not in part] == []


def test_every_member_of_a_manifest_is_there() -> None:
    text = page("manifest")

    for model in (Manifest, StreamManifest):
        part = text.split(f"\n## {model.__name__}\n")[1].split("\n## ")[0]
        assert [name for name, field in model.model_fields.items() if f"`{field.alias or name}`" not in part] == []


def test_every_reason_is_there_with_its_sentence() -> None:
    text = page("reasons")

    assert [one for one in Reason if f"`{one.value}`" not in text or one.sentence not in text] == []
