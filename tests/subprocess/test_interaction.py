"""A connector asks its owner; the answer goes from the terminal to the connector and stays nowhere."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pdpp_worker.connector import Interaction, InteractionResponse
from pdpp_worker.settings import Settings
from tests.subprocess.conftest import HERE, Commands, hostile
from tests.support.fleet import ROOT, environment
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.process  # starts processes itself

CODE = "482-913-77"


def test_without_an_owner_the_answer_is_timeout_at_once(commands: Commands) -> None:
    run = commands.misbehave("asks")

    assert (run["status"], commands.held()["answer"]["status"]) == ("succeeded", "timeout")


def test_the_owner_s_answer_reaches_the_connector_and_no_log(commands: Commands) -> None:
    asked: list[Interaction] = []

    def answer(question: Interaction, _: object) -> InteractionResponse:
        asked.append(question)
        return InteractionResponse(request_id=question.request_id, status="success", data={"code": CODE})

    commands.answerer = answer

    with capture_logs() as logs:
        run = commands.misbehave("asks")

    assert [question.message for question in asked] == ["The code that was sent to you"]
    assert (run["status"], commands.held()["answer"]["length"]) == ("succeeded", len(CODE))
    assert any("was told" in str(entry.get("line")) for entry in logs)
    assert CODE not in json.dumps(logs, default=str)


def test_an_answer_does_not_show_itself() -> None:
    answer = InteractionResponse(request_id="1", status="success", data={"code": CODE})

    assert CODE not in repr(answer)
    assert CODE not in str(answer)


class Session:
    """`pdpp-worker …` on a terminal of its own."""

    def __init__(self, settings: Settings, connectors: Path, *arguments: str) -> None:
        self._end, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pdpp_worker", *arguments],
            env=environment(settings, PDPP_CONNECTORS_DIR=str(connectors), PDPP_BROKER_URL="redis://127.0.0.1:1/0"),
            cwd=ROOT,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read on until the terminal shows the text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown and time.monotonic() < deadline and self._read():
            pass
        assert text in self.shown, self.shown

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        while self._read():
            pass
        os.close(self._end)
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        select.select([self._end], [], [], PATIENCE_S)
        try:
            chunk = os.read(self._end, 4096)
        except OSError:  # the terminal is gone with its last process
            return False
        self.shown += chunk.decode(errors="replace")
        return bool(chunk)


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """A directory with the connector `asking`, which asks for a code."""
    folder = tmp_path / "connectors" / "asking"
    folder.mkdir(parents=True)
    (folder / "hostile.py").write_text((HERE / "hostile" / "hostile.py").read_text())
    manifest = hostile("asks").model_dump(mode="json", by_alias=True, exclude_none=True) | {"name": "asking"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder.parent


def test_the_owner_answers_at_the_terminal(settings: Settings, redis: Redis, asking: Path, commands: Commands) -> None:
    added = Session(settings, asking, "connection", "add", "asked", "--connector", "asking", "--paused")
    assert added.end() == 0, added.shown

    run = Session(settings, asking, "run", "asked", "--interactive")
    run.wait_for("code: ")
    run.type(f"{CODE}\n")
    code = run.end()

    assert code == 0, run.shown
    assert "The connector asks: The code that was sent to you" in run.shown
    assert "succeeded: 1 new or changed" in run.shown
    assert CODE not in run.shown
    assert commands.held()["answer"]["length"] == len(CODE)


def test_the_end_of_the_input_cancels_a_question(
    settings: Settings, redis: Redis, asking: Path, commands: Commands
) -> None:
    added = Session(settings, asking, "connection", "add", "asked", "--connector", "asking", "--paused")
    assert added.end() == 0, added.shown

    run = Session(settings, asking, "run", "asked", "--interactive")
    run.wait_for("code: ")
    run.type("\x04")
    run.end()

    assert commands.held()["answer"]["status"] == "cancelled"


def test_ctrl_c_leaves_the_run_to_the_fleet(settings: Settings, redis: Redis, asking: Path, commands: Commands) -> None:
    added = Session(settings, asking, "connection", "add", "asked", "--connector", "asking", "--paused")
    assert added.end() == 0, added.shown

    run = Session(settings, asking, "run", "asked", "--interactive")
    run.wait_for("code: ")
    run.process.send_signal(signal.SIGINT)
    code = run.end()

    assert code == 130, run.shown
    assert commands.one("SELECT status FROM runs")["status"] == "running"
