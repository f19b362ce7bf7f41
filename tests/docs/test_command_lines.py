"""Every command line of the pages is one that its program takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from pdpp_worker.cli.program import app
from tests.support.pages import ROOT, Line, console_lines, inline_lines

KNOWN = {
    "make",
    "pdpp-worker",
    "celery",
    "curl",
    "export",
    "docker",
    "docker/make-secrets.sh",
    "kubectl",
    "setpriv",
    "pip",
    "python3",
    "python",
}
"""Programs of which a line may begin; each is checked below, or is not ours."""
SOURCES = [*(ROOT / "pdpp_worker").rglob("*.py")]
LINES = console_lines()
OURS = [line for line in [*LINES, *inline_lines("pdpp-worker")] if line.words[0] == "pdpp-worker"]


def of(program: str) -> list[Line]:
    """The lines of one program."""
    return [line for line in [*LINES, *inline_lines(program)] if line.words[0] == program]


def parse(words: list[str]) -> None:
    """Let the real parser of the command line read these words; it raises where it does not take them."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("pdpp-worker", list(words))
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def commands_named(words: list[str]) -> bool:
    """Whether the words are the name of a command, or of a group, and nothing else."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if word not in getattr(command, "commands", {}):
            return False
        command = command.commands[word]
    return True


def test_every_line_begins_with_a_known_program() -> None:
    assert {line.words[0] for line in LINES} <= KNOWN


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.text)
def test_the_program_takes_its_lines(line: Line) -> None:
    words = ["1" if word == "ID" else word.strip("[]") for word in line.words[1:]]

    if not commands_named(words):
        parse(words)


def test_make_has_its_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {word for line in of("make") for word in line.words[1:] if "=" not in word}

    assert asked <= targets


def test_celery_knows_the_tasks_that_are_called() -> None:
    tasks = {name for path in SOURCES for name in re.findall(r'"(pdpp\.[a-z.]+)"', path.read_text(encoding="utf-8"))}
    called = {word for line in of("celery") for word in line.words if word.startswith("pdpp.")}

    assert called
    assert called <= tasks


def test_benchmarks_that_are_named_exist() -> None:
    named = {line.words[3] for line in of("python") if line.words[1:3] == ["-m", "bench"]}
    folders = {path.stem for path in (ROOT / "bench").iterdir()}

    assert named <= folders
