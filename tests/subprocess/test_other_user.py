"""A connector that is a program runs as a user of its own, and has nothing of the fleet or of other connections."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from pdpp_worker.added.tools import missing_tools
from pdpp_worker.command.child import Child
from pdpp_worker.command.connector_user import OWN, Account, accounts, borrowed
from pdpp_worker.command.lent_files import take_back
from pdpp_worker.command.separation import Needs, separation
from pdpp_worker.command.subreaper import TOO_MUCH_MEMORY
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.owner import program_user
from pdpp_worker.privileges import may_change_user
from pdpp_worker.registry import CommandConnector
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store.connections import ConnectionRow
from tests.subprocess.conftest import HERE, Commands, hostile
from tests.support.servers import temporary_data_dir
from tests.support.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.process,  # starts processes itself
    pytest.mark.skipif(not may_change_user(), reason="only root starts programs as another user"),
]
PREFIXES = [sys.prefix, sys.base_prefix]
SETTING = {"tried": {"title": "Tried", "env": "TRIED"}, "port": {"title": "Port", "env": "PORT"}}


@pytest.fixture
def separated(commands: Commands) -> Iterator[Commands]:
    """A connection whose files such a user can reach: no directory of pytest may be entered by another one."""
    with temporary_data_dir() as data_dir:
        data_dir.mkdir(mode=0o711)
        commands.settings = commands.settings.model_copy(update={"data_dir": data_dir})
        commands.let_run_as_fleet_user(False)
        yield commands


@contextmanager
def another_connection(folder: Path) -> Iterator[int]:
    """A connector of another connection at work, with a secret in its environment; yields its process."""
    account = Account(OWN[-1], OWN[-1], is_own=True)
    command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
    environment = {"TOKEN": "other-connection"}
    one = Child(command, folder, environment, check=lambda: None, log=lambda _: None, account=account, paths=PREFIXES)
    try:
        line = next(one.lines())
        assert isinstance(line, bytes)
        yield int(line)
    finally:
        one.stop()


def spy(commands: Commands, tried: dict[str, Any]) -> dict[str, Any]:
    """Run the program that tries; returns what it had, and what it is."""
    commands.configure(settings=json.dumps({"tried": json.dumps(tried)}))
    assert commands.misbehave("spies", settings=SETTING)["status"] == "succeeded"
    loot: dict[str, Any] = commands.held()["loot"]
    return loot


def test_it_reads_neither_the_key_nor_a_secret_nor_the_database_nor_an_environment(
    separated: Commands, servers: EmbeddedServers
) -> None:
    data_dir = separated.settings.data_dir
    other = data_dir / "files" / "2-other"
    other.mkdir(mode=0o700, parents=True)
    for path in (data_dir / "secret.key", other / "token"):
        path.write_text("a secret")
        path.chmod(0o600)
    home = Path(str(servers._postgres.home))
    files = [
        str(one) for one in (data_dir / "secret.key", other / "token", other, data_dir, home / "data", "/etc/shadow")
    ]
    sockets = [str(servers._postgres.socket), str(servers._valkey.socket)]

    with another_connection(Path("/")) as process:
        loot = spy(separated, {"files": files, "sockets": sockets, "processes": [os.getpid(), process]})

    assert loot["had"] == {}


def test_it_has_no_rights_and_a_home_of_its_own(separated: Commands) -> None:
    own = spy(separated, {"files": [], "sockets": [], "processes": []})["own"]

    files = separated.settings.data_dir / "files" / "1-mine"
    assert own["uid"] in OWN
    assert (own["groups"], own["CapEff"], own["CapPrm"], own["NoNewPrivs"]) == ([], "0" * 16, "0" * 16, "1")
    assert (own["home"], Path(own["tmp"]).parent) == (str(files / ".home"), files / ".tmp")


def test_its_files_are_the_fleets_again_afterwards_and_its_home_stays(separated: Commands) -> None:
    spy(separated, {"files": [], "sockets": [], "processes": []})

    files = separated.settings.data_dir / "files" / "1-mine"
    assert (files / ".home" / "kept").read_text() == "mine"
    assert {path.lstat().st_uid for path in (files, *files.rglob("*"))} == {os.geteuid()}
    assert not (files / ".tmp").exists()


def test_a_tool_that_a_manifest_names_is_tried_without_the_fleets_rights() -> None:
    with temporary_data_dir() as data_dir:
        data_dir.mkdir()
        secret = data_dir / "secret.key"
        secret.touch(mode=0o600)
        tool = {"executable": "sh", "arguments": ["-c", f"echo is there; cat {secret}"]}
        reads_nothing, reads_it = hostile("good", tools=[{**tool, "exit_code": 1}]), hostile("good", tools=[tool])

        assert (len(list(missing_tools(reads_nothing))), len(list(missing_tools(reads_it)))) == (0, 1)


@pytest.mark.parametrize(
    "opened", ["os.memfd_create('x')", "os.open('/dev/shm/pdpp-worker-test', os.O_CREAT | os.O_WRONLY)"]
)
def test_files_in_memory_are_memory_and_end_with_it(opened: str) -> None:
    account = Account(OWN[-1], OWN[-1], is_own=True)
    lines = (f"import os, time; file = {opened}; open('/var/tmp/pdpp-worker-test', 'w').close()",)
    code = "\n".join((*lines, "for _ in range(60): os.write(file, bytes(1_000_000))", "time.sleep(60)"))
    one = Child(
        [sys.executable, "-c", code],
        Path("/"),
        {},
        check=lambda: None,
        log=lambda _: None,
        account=account,
        paths=PREFIXES,
        memory_bytes=40_000_000,
    )

    ended = one.exit_code(PATIENCE_S)
    one.stop()

    assert ended == TOO_MUCH_MEMORY
    assert not [file for folder in ("/dev/shm", "/var/tmp") for file in Path(folder).glob("pdpp-worker-test")]


def test_files_that_a_killed_worker_had_lent_are_not_the_next_users(tmp_path: Path) -> None:
    account = Account(OWN[-1], OWN[-1], is_own=True)
    left, ours = tmp_path / "1-left", tmp_path / "2-ours"
    for folder in (left, ours):
        folder.mkdir()
        (folder / "inner").touch()
    for path in (left, left / "inner"):
        os.chown(path, account.uid, account.gid)

    take_back(tmp_path, account)

    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {os.geteuid()}


@pytest.mark.parametrize("how", ["forks_away", "kills_its_subreaper", "is_a_comet"])
def test_nothing_is_left_of_it(separated: Commands, how: str) -> None:
    separated.misbehave(how)

    assert not running(how)
    assert separated.still_there() == []


def running(how: str) -> list[int]:
    """The processes that misbehave so at this moment, also those whose ids nobody wrote down."""
    found = psutil.process_iter(["cmdline", "status", "cwd"])
    alive = [one for one in found if one.info["status"] != psutil.STATUS_ZOMBIE and one.info["cmdline"]]
    return [one.pid for one in alive if one.info["cmdline"][-1] == how and one.info["cwd"] == str(HERE / "hostile")]


@pytest.mark.parametrize(
    "chosen",
    [{"command": ["{python}", "hostile.py", "good", "def.json"]}, {"bindings": ["filesystem"]}, {}],
    ids=["definition", "binding", "mode"],
)
def test_no_manifest_or_folder_chooses_the_fleets_user_its_owner_does(
    separated: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any]
) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(HERE / "hostile", folder)
    folder.chmod(0o755 if chosen else 0o700)
    (folder / "def.json").write_text('{"x": "/etc/shadow"}')
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(closed))
    separated.use(folder, hostile("good", **chosen))

    refused = separated.run()
    separated.let_run_as_fleet_user(True)
    allowed = separated.run()

    assert (refused["status"], allowed["status"]) == ("failed", "succeeded")
    assert "--as-fleet-user" in refused["error"]


def test_only_its_owner_opens_a_closed_directory_to_it(separated: Commands, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    note = tmp_path / "note"
    note.write_text("for all who come here")
    note.chmod(0o644)
    given = hostile("good", settings={"export": {"title": "Export", "env": "EXPORT", "default": str(note)}})
    files = separated.settings.data_dir / "files" / "1-mine"

    def paths(value: str) -> list[str]:
        needs = Needs(given, HERE / "hostile", [sys.executable, "hostile.py"], {"export": value}, files)
        return list(separation(Settings(), needs, as_fleet_user=False).paths)

    other = tmp_path / "other"
    shutil.copy(note, other)

    assert str(other) in paths(str(other))
    with pytest.raises(ConfigurationError, match=f"cannot read {note}"):
        paths(str(note))


def test_doctor_says_as_whom_a_program_will_run_also_before_its_first_run(tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(HERE / "hostile", folder)
    connector = CommandConnector(hostile("good"), "hostile", folder)
    row = ConnectionRow(7, "mine", "scripted", {}, {}, None, datetime.now(UTC))
    with temporary_data_dir() as data_dir:
        (data_dir / "files").mkdir(mode=0o700, parents=True)
        settings = Settings(data_dir=data_dir)

        apart = program_user.runs_as(settings, row, connector)
        (folder / "hostile.py").chmod(0o600)
        kept = program_user.runs_as(settings, replace(row, as_fleet_user=True), connector)
        with pytest.raises(ConfigurationError, match="--as-fleet-user"):
            program_user.runs_as(settings, row, connector)

    assert apart == "runs as a user of its own"
    assert kept.startswith("MAY READ EVERYTHING")
    assert "connection set mine --own-user" in kept


@pytest.mark.parametrize("kind", ["path", "string"])
def test_a_file_of_the_owner_that_it_cannot_read_is_named(tmp_path: Path, kind: str) -> None:
    with temporary_data_dir() as data_dir:
        export = data_dir / "export"
        export.mkdir(parents=True)
        (export / "mail.zip").touch(mode=0o600)
        given = hostile("good", settings={"export": {"title": "Export", "type": kind, "env": "EXPORT"}})
        values = {"export": str(export)}

        needs = Needs(given, HERE / "hostile", [sys.executable, "hostile.py"], values, data_dir / "files" / "1-mine")
        found = separation(Settings(), needs, as_fleet_user=True)

        assert (list(found.accounts), found.why_not) == ([], f"another user cannot read {export / 'mail.zip'}")
        with pytest.raises(ConfigurationError, match=r"cannot read .*mail\.zip"):
            separation(Settings(), needs, as_fleet_user=False)
        with pytest.raises(ConfigurationError, match=r"\(PDPP_CONNECTOR_USER\) cannot read"):
            separation(Settings(connector_user="61000-61100"), needs, as_fleet_user=True)


def test_without_a_network_it_reaches_nobody(separated: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        separated.configure(settings=json.dumps({"port": str(port)}))
        errors = []
        for offline in ("", "scripted"):
            monkeypatch.setenv("PDPP_CONNECTORS_OFFLINE", offline)
            get_settings.cache_clear()
            separated.misbehave("reaches_the_network", settings=SETTING)
            errors.append(separated.held()["network"]["error"])
    monkeypatch.undo()
    get_settings.cache_clear()

    assert errors[0] == 0
    assert errors[1] != 0


@pytest.mark.parametrize(
    ("wanted", "why"),
    [("nobody-of-this-name", "has no user"), ("0-5", "is no range"), ("5-4", "is no range"), ("99999999999", "has no")],
)
def test_a_user_that_cannot_be_is_refused_in_a_sentence(wanted: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        accounts(Settings(connector_user=wanted))


def test_two_runs_never_have_one_user() -> None:
    two = accounts(Settings(connector_user="61180-61181"))

    with borrowed(two, 7) as first, borrowed(two, 7) as second:
        assert {first.uid, second.uid} == {61180, 61181}
        with pytest.raises(ConfigurationError, match="in use"), borrowed(two, 0):
            pass
