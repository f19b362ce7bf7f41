"""Text from others steers no terminal and no log, whichever way it is shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker import logs
from pdpp_worker.cli import output
from pdpp_worker.cli.commands import export
from pdpp_worker.cli.prompts import Terminal
from pdpp_worker.inert import lines, one_line
from pdpp_worker.protocol.messages import Interaction
from pdpp_worker.settings import Settings

STEERING = "a\x7f\x1b]0;x\x07\u202egnp.exe\u2066\x9b2J\r\ud800\u2028z"
BAD = frozenset(STEERING) - frozenset("a]0;xgnp.e2Jz")

WAYS: dict[str, Callable[[str], object]] = {
    "say": output.say,
    "note": output.note,
    "table": lambda text: output.print_table((text, "b"), [(text, text)]),
    "pairs": lambda text: output.print_pairs([(text, text)]),
    "wrapped": lambda text: output.say(*output.wrap(text)),
    "JSON": lambda text: output.print_json({text: [text]}),
    "JSON line": lambda text: output.print_json_line({text: [text]}),
}


@given(st.text())
def test_no_character_that_steers_is_left(text: str) -> None:
    assert not BAD & set(one_line(text + STEERING))
    assert "\n" not in one_line(text)
    assert lines(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("way", WAYS)
def test_an_output_shows_it_inert(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    WAYS[way](STEERING)

    printed = capsys.readouterr()
    shown = printed.out + printed.err
    assert "gnp.exe" in shown
    assert not BAD & set(shown)


def test_an_export_to_a_terminal_is_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _exported(f'{{"a": "{STEERING}"}}\n', os.openpty(), monkeypatch)

    assert not (BAD - {"\r"}) & set(shown)
    assert json.loads(shown) == {"a": STEERING}
    assert shown.count("\r") == 1  # which the terminal adds to the end of the line


def test_an_export_to_a_pipe_is_as_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = STEERING.replace("\ud800", "") + "\n"

    assert _exported(held, os.pipe(), monkeypatch) == held


def _exported(text: str, ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> str:
    """The text that arrives at the first end when a command exports it to the second one."""
    reading, writing = ends
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with export.standard_output() as file:
            file.write(text)
        found = os.read(reading, 4096).decode()
    os.close(reading)
    return found


def test_titles_and_names_in_a_connectors_prompt_are_inert(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1\n2\n")
    before = os.dup(0)
    os.dup2(reading, 0)
    properties = {STEERING: {"type": "string"}, "b": {"title": STEERING}}
    question = Interaction(
        request_id="r", kind="otp", message=STEERING, schema={"type": "object", "properties": properties}
    )

    try:
        Terminal()(question, lambda: None)
    finally:
        os.dup2(before, 0)

    shown = capsys.readouterr().err
    assert shown.count("gnp.exe") == 3
    assert not BAD & set(shown)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_is_inert(as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(data_dir=tmp_path, log_json=as_json))
    try:
        structlog.get_logger().error("connector failed", line=STEERING, exception=STEERING)
    finally:
        structlog.reset_defaults()

    shown = capsys.readouterr().err
    assert shown.count("gnp.exe") == 2
    assert not BAD & set(shown)
