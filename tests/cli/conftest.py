"""The program in this process, on a test's own database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from redis import Redis
from typer.testing import CliRunner, Result

from pdpp_worker import logs
from pdpp_worker.cli.program import app
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario


class Cli:
    """Runs commands and remembers everything that they printed."""

    def __init__(self) -> None:
        self.printed = ""

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        result = CliRunner().invoke(app, arguments, input=stdin)
        self.printed += result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """The standard output of a command that succeeds."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """The JSON document that a command prints."""
        return json.loads(self.ok(*arguments, "--json"))

    def json_lines(self, *arguments: str) -> list[Any]:
        """The JSON lines that a command prints."""
        return [json.loads(line) for line in self.ok(*arguments, "--json").splitlines()]

    def refusal(self, *arguments: str, stdin: str = "") -> str:
        """The one sentence with which a command is refused as a wrong call."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        return result.stderr


@pytest.fixture
def cli(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line, with this test's settings."""
    # The runner takes standard error away after each command, and logs would go on writing to it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    monkeypatch.setattr(logs, "configure", lambda _: None)
    yield Cli()
    structlog.reset_defaults()


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """The connection `mine` of a scripted connector."""
    return Scenario(monkeypatch, settings, db, redis)
