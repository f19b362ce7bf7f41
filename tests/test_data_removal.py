"""Data directories are named, and one of them is removed only after a question, and never under a fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.local import data_removal, locks
from pdpp_worker.local.supervisor import hold_fleet
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory in which nothing runs."""
    (tmp_path / "data" / "embedded" / "postgres").mkdir(parents=True)
    (tmp_path / "data" / "secret.key").write_text("key")
    return tmp_path / "data"


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Cli:
    """The command line of that data directory."""
    monkeypatch.setattr("pdpp_worker.cli.commands.data.get_settings", lambda: type("", (), {"data_dir": folder}))
    return Cli()


def by_itself(folder: Path, stdin: str) -> subprocess.CompletedProcess[str]:
    """The program that needs nothing installed, as `make remove` runs it."""
    command = [sys.executable, "-S", "-m", "pdpp_worker.local.data_removal", str(folder)]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60)


def test_the_directories_that_exist_are_named(cli: Cli, folder: Path) -> None:
    assert cli.json("data", "list") == [{"directory": str(folder), "bytes": 3, "used": False}]


def test_one_command_removes_one(cli: Cli, folder: Path) -> None:
    assert cli.ok("data", "remove", str(folder), "--yes") == f"Removed {folder}.\n"

    assert not folder.exists()


def test_nobody_there_to_answer_is_no_consent(cli: Cli, folder: Path) -> None:
    assert "say --yes" in cli.refusal("data", "remove", str(folder))

    assert folder.exists()


@pytest.mark.parametrize("within", ["", "demo"])
def test_it_is_refused_while_a_fleet_runs_there(folder: Path, within: str) -> None:
    held = hold_fleet(folder / within)
    try:
        with pytest.raises(ConfigurationError, match="Something runs"):
            data_removal.remove(folder)
    finally:
        os.close(held)

    assert folder.exists()


def test_it_is_refused_while_its_servers_run(folder: Path) -> None:
    held = locks.try_lock(folder / "embedded" / "postgres" / "guardian.lock")
    assert held is not None
    try:
        with pytest.raises(ConfigurationError, match="Something runs"):
            data_removal.remove(folder)
    finally:
        os.close(held)

    assert folder.exists()


def test_what_is_no_data_directory_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no data directory"):
        data_removal.remove(tmp_path)


@pytest.mark.parametrize("place", ["home", "work"])
def test_a_directory_that_holds_a_home_or_the_place_of_work_is_left_alone(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine").mkdir()
    if place == "home":
        monkeypatch.setenv("HOME", str(folder / "mine"))
    else:
        monkeypatch.chdir(folder / "mine")

    with pytest.raises(ConfigurationError, match="remove by hand"):
        data_removal.remove(folder)

    assert (folder / "mine").exists()


def test_one_behind_a_link_is_removed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)

    data_removal.remove(tmp_path / "link")

    assert not folder.exists()


@pytest.mark.process
@pytest.mark.parametrize(("answer", "stays"), [("n\n", True), ("", True), ("y\n", False)])
def test_it_works_where_nothing_is_installed(folder: Path, answer: str, stays: bool) -> None:
    done = by_itself(folder, answer)

    assert "for good" in done.stdout
    assert folder.exists() is stays
    assert done.returncode == int(stays)
