"""A connector that is a program runs as a user of its own, and has nothing of the fleet or of other connections."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pdpp_worker.command import separation as separating
from pdpp_worker.command.child import Child
from pdpp_worker.command.connector_user import OWN, Account, accounts, borrowed
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.privileges import may_change_user
from pdpp_worker.settings import Settings, get_settings
from tests.subprocess.conftest import HERE, Commands, hostile
from tests.support.servers import temporary_data_dir

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


@pytest.mark.parametrize("how", ["forks_away", "kills_its_subreaper", "is_a_comet"])
def test_nothing_is_left_of_it(separated: Commands, how: str) -> None:
    separated.misbehave(how)

    assert not running(how)
    separated.nothing_is_left()


def running(how: str) -> list[int]:
    """The processes that misbehave so at this moment, also those whose ids nobody wrote down."""
    found = psutil.process_iter(["cmdline", "status", "cwd"])
    alive = [one for one in found if one.info["status"] != psutil.STATUS_ZOMBIE and one.info["cmdline"]]
    return [one.pid for one in alive if one.info["cmdline"][-1] == how and one.info["cwd"] == str(HERE / "hostile")]


def test_one_that_the_other_user_cannot_read_runs_as_before_unless_a_user_is_set(
    separated: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(HERE / "hostile", tmp_path / "hostile")
    (tmp_path / "hostile").chmod(0o700)
    given = hostile("shows_environment")
    separated.use(tmp_path / "hostile", given)

    assert separated.run()["status"] == "succeeded"
    monkeypatch.setenv("PDPP_CONNECTOR_USER", "61000-61100")
    get_settings.cache_clear()
    try:
        run = separated.run()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()

    assert run["status"] == "failed"
    assert "(PDPP_CONNECTOR_USER) cannot read" in run["error"]


@pytest.mark.parametrize("kind", ["path", "string"])
def test_a_file_of_the_owner_that_it_cannot_read_is_named(tmp_path: Path, kind: str) -> None:
    with temporary_data_dir() as data_dir:
        export = data_dir / "export"
        export.mkdir(parents=True)
        (export / "mail.zip").touch(mode=0o600)
        given = hostile("good", settings={"export": {"title": "Export", "type": kind, "env": "EXPORT"}})
        values = {"export": str(export)}

        found = separating.separation(
            Settings(), given, HERE / "hostile", [sys.executable, "hostile.py"], values, data_dir / "files" / "1-mine"
        )

    assert (list(found.accounts), found.why_not) == ([], f"another user cannot read {export / 'mail.zip'}")


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
