"""The wheel holds all that a fleet needs, and runs one with no repository around.

`make wheel` installs it into an empty environment as well, which takes minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fleet import ROOT
from tests.support.logs import write_session
from tests.support.servers import temporary_data_dir
from tests.support.waiting import PATIENCE_S, until
from tests.support.wheel import environment_of, install_alone, site, wheel

__all__ = ["site", "wheel"]

pytestmark = pytest.mark.process
whole = pytest.mark.skipif("PDPP_WHEEL" not in os.environ, reason="installs everything anew; `make wheel` does it")
PARTS = ("pdpp_worker", "connectors")
LONGEST_S = 600.0


def in_the_checkout() -> set[str]:
    """The files of the packages, as the wheel names them."""
    files = {path for part in PARTS for path in (ROOT / part).rglob("*") if path.is_file()}
    made = {path for path in files if "__pycache__" in path.parts}
    return {str(path.relative_to(ROOT)) for path in files - made} | {"beat_schedule.py"}


@contextmanager
def running(command: Sequence[str | Path], log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program; it is ended by force where the test does not end it."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == in_the_checkout()
    for needed in ("web/templates/base.html", "web/static/console.css", "store/migrations/env.py", "py.typed"):
        assert f"pdpp_worker/{needed}" in held


def test_the_demonstration_finds_all_of_its_accounts_with_no_repository_around(site: Path, tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    with temporary_data_dir() as data_dir:
        command = [sys.executable, "-P", "-m", "pdpp_worker", "demo"]
        with running(command, log, env=environment_of(site, data_dir), cwd=tmp_path) as demo:
            until(lambda: "Beat dispatches them" in log.read_text(), demo)
            demo.send_signal(signal.SIGINT)
            demo.wait(PATIENCE_S)

    said = log.read_text()
    bringing = {path.parts[-3] for path in site.glob("connectors/*/practice/demo.py")}
    assert bringing
    assert all(f"demo-{name.replace('_', '-')}: " in said for name in bringing)
    assert "Traceback" not in said


@whole
def test_alone_in_an_empty_environment_it_runs_the_demonstration_and_a_fleet(wheel: Path, tmp_path: Path) -> None:
    programs = install_alone(wheel, tmp_path / "venv")
    projects, home = tmp_path / "projects", tmp_path / "home"
    home.mkdir()
    write_session(projects, number=1, lines=10)
    account = ("logs", "--connector", "claude_code", "--set", f"projects_dir={projects}", "--set", f"claude_dir={home}")

    with temporary_data_dir() as data_dir:
        environment = {"PATH": os.defpath, "HOME": str(home), "PDPP_DATA_DIR": str(data_dir)}
        demo = pdpp_worker(programs, environment, home, "demo")
        with running([programs / "pdpp-worker", "up"], tmp_path / "up.log", env=environment, cwd=home) as fleet:
            until(lambda: "Ctrl-C" in (tmp_path / "up.log").read_text(), fleet)
            pdpp_worker(programs, environment, home, "connection", "add", *account)
            run = pdpp_worker(programs, environment, home, "run", "logs")
            exported = pdpp_worker(programs, environment, home, "export", "logs", "messages")
            fleet.send_signal(signal.SIGTERM)
            code = fleet.wait(PATIENCE_S)

    assert "upstream_error" in demo
    assert "succeeded" in run
    assert len(exported.splitlines()) == 10
    assert code == 0


def pdpp_worker(programs: Path, environment: Mapping[str, str], cwd: Path, *arguments: str) -> str:
    """The output of a command that succeeds."""
    command = [programs / "pdpp-worker", *arguments]
    options = {"capture_output": True, "text": True, "timeout": LONGEST_S, "stdin": subprocess.DEVNULL}
    done = subprocess.run(command, env=environment, cwd=cwd, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)
