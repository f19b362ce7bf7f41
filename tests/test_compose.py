"""The containers of compose.yaml hold what they need and nothing else, and the roles of its database do too."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import errors, sql
from sqlalchemy import make_url

from pdpp_worker.command import connector_user
from pdpp_worker.command.connector_user import NoOtherUserError, accounts
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.database_roles import SUPERUSER
from pdpp_worker.privileges import CAPABILITIES
from pdpp_worker.setting_files import file_variables
from pdpp_worker.settings import Settings, setting_names
from pdpp_worker.store import migrate
from pdpp_worker.store import roles as store_roles
from pdpp_worker.store.engine import Database
from tests.support.databases import Databases

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker" / "compose.yaml").read_text()
WHOLE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = WHOLE["services"]
FLEET = sorted(SERVICES.keys() - {"postgres", "valkey", "prometheus", "grafana"})
AT_WORK = {"cli", "collect", "local", "web"}
"""Services that work on connections: they need credentials, files and the world."""
PROGRAMS = AT_WORK - {"web"}
"""The services that run connectors, which may be programs."""


def expanded(text: str) -> str:
    """The text with its shell-like variables replaced by their defaults."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_container_has_no_privileges_and_a_bound_on_what_it_takes(service: str) -> None:
    one = SERVICES[service]

    assert one["cap_drop"] == ["ALL"]
    assert set(one.get("cap_add", [])) == (set(CAPABILITIES) if service in PROGRAMS else set())
    assert "no-new-privileges:true" in one["security_opt"]
    assert one["read_only"] is True
    assert one["pids_limit"] > 0
    assert one["mem_limit"]
    assert (one.get("user", "").split(":")[0] == "0") == (service in PROGRAMS)


@pytest.mark.parametrize("service", sorted(PROGRAMS))
def test_each_run_of_a_program_gets_a_user_of_its_own_and_the_fleet_is_not_root(service: str) -> None:
    one = SERVICES[service]
    prepared = one["entrypoint"][2]
    given = {f"+{name.lower()}" for name in CAPABILITIES}

    assert [set(found.split(",")) for found in re.findall(r"-caps=(\S+)", prepared)] == [given, given]
    assert "--reuid=10001 --regid=10001 --clear-groups" in prepared
    assert "/run/secrets:uid=10001,gid=10001,mode=0700" in one["tmpfs"]
    assert accounts(Settings(connector_user=expanded(one["environment"]["PDPP_CONNECTOR_USER"])))[0].is_own


def test_the_console_runs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector_user, "may_change_user", lambda: False)  # as a container without capabilities
    wanted = expanded(SERVICES["web"]["environment"]["PDPP_CONNECTOR_USER"])

    with pytest.raises(NoOtherUserError):
        accounts(Settings(connector_user=wanted))


def test_no_service_is_given_a_secret_that_it_does_not_need() -> None:
    holders = {name: {s for s, one in SERVICES.items() if name in one["secrets"]} for name in WHOLE["secrets"]}

    assert holders == {
        "postgres_password": {"postgres"},
        "pdpp_password": {"postgres"},
        "pdpp_read_password": {"postgres", "grafana"},
        "valkey_password": {"valkey"},
        "database_url": set(FLEET),
        "redis_url": set(FLEET),
        "broker_url": set(FLEET),
        "secret_key": AT_WORK,
        "web_password": {"web"},
        "flower_basic_auth": {"flower"},
        "grafana_password": {"grafana"},
    }


def test_only_those_that_work_on_connections_have_their_files() -> None:
    assert {name for name, one in SERVICES.items() if any("data:" in v for v in one.get("volumes", []))} == AT_WORK


def test_the_servers_and_what_needs_no_provider_reach_nothing_outside() -> None:
    outside = {name for name, one in SERVICES.items() if "outside" in one["networks"]}

    assert WHOLE["networks"]["servers"] == {"internal": True}
    assert all("servers" in one["networks"] for one in SERVICES.values())
    assert outside == AT_WORK | {"flower", "grafana"}


def test_each_secret_that_a_setting_names_is_given_to_its_service() -> None:
    known = set(file_variables(Settings))
    for service, one in SERVICES.items():
        given = {name: value for name, value in one.get("environment", {}).items() if name.startswith("PDPP_")}
        named = {name: value for name, value in given.items() if name.endswith("_FILE")}

        assert named.keys() <= known, service
        assert given.keys() - named.keys() <= set(setting_names()), service
        assert {Path(value).name for value in named.values()} <= set(one["secrets"]), service


def test_no_secret_stands_in_the_file_nor_in_an_argument() -> None:
    assert not re.findall(r"(?:PASSWORD|SECRET_KEY|BASIC_AUTH|_URL): ", TEXT)
    assert "--requirepass" not in TEXT


def test_every_image_may_be_named_by_its_digest() -> None:
    example = (ROOT / "docker" / ".env.example").read_text()
    images = [one["image"] for one in SERVICES.values() if "build" not in one]

    assert all(re.fullmatch(r"\$\{\w+_IMAGE:-[^}]+\}", image) for image in images)
    assert set(re.findall(r"\$\{(\w+):-", TEXT)) <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder `docker` of an owner, with the script in it."""
    shutil.copy(ROOT / "docker" / "make-secrets.sh", tmp_path)
    return tmp_path


def make_secrets(folder: Path) -> dict[str, str]:
    subprocess.run([folder / "make-secrets.sh"], check=True, env={"PATH": os.environ["PATH"]})
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


@pytest.mark.process
def test_the_script_makes_every_secret_once_and_for_its_owner_alone(made: Path) -> None:
    first = make_secrets(made)

    assert first.keys() == WHOLE["secrets"].keys()
    assert make_secrets(made) == first
    assert first["pdpp_password"] in first["database_url"]
    assert first["valkey_password"] in first["broker_url"]
    assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o700


@pytest.mark.process
def test_the_secrets_of_an_earlier_version_go_on(made: Path) -> None:
    (made / ".env").write_text("POSTGRES_PASSWORD=earlier\nPDPP_SECRET_KEY=key\nFLOWER_USER=me\nFLOWER_PASSWORD=pass\n")

    found = make_secrets(made)

    assert (found["pdpp_password"], found["secret_key"], found["flower_basic_auth"]) == ("earlier", "key", "me:pass")


@pytest.fixture(scope="module")
def roles(databases: Databases, servers: EmbeddedServers) -> tuple[str, str, str]:
    """The URLs of a database whose roles the script made: of its superuser, of the fleet, and for reading."""
    databases.create("confined", "template0")
    url = servers._postgres.url_of(SUPERUSER).replace("/pdpp?", "/confined?")
    script = (ROOT / "docker" / "postgres" / "roles.sql").read_text()
    script = re.sub(r"^\\set.*$", "", script, flags=re.MULTILINE)
    script = re.sub(r":'pdpp_(read_)?password'", "'secret'", script)
    script = re.sub(r"\bDATABASE pdpp\b", "DATABASE confined", script)
    script = re.sub(r"\bpdpp(_read)?\b", r"confined\1", script)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(sql.SQL(script))
    own, reading = (
        make_url(url).update_query_dict({"options": f"-crole={name}"}).render_as_string(hide_password=False)
        for name in ("confined", "confined_read")
    )
    # The server lets in the superuser alone, who is the fleet's role for the time of the migration.
    execute(url, "ALTER ROLE postgres IN DATABASE confined SET role = confined")
    db = Database(url)
    migrate.upgrade(db)
    with pytest.MonkeyPatch.context() as patch, db.begin() as connection:
        patch.setattr(store_roles, "READER", "confined_read")
        store_roles.hide_credentials(connection)
    db.close()
    execute(url, "SET ROLE NONE; ALTER ROLE postgres IN DATABASE confined RESET role")
    return url, own, reading


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(sql.SQL(statement))
        return cursor.fetchall() if cursor.description else []


def test_the_fleets_role_owns_its_schema_and_nothing_else(roles: tuple[str, str, str]) -> None:
    admin, own, _ = roles

    rights = execute(admin, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'confined'")

    assert rights == [(False, False, False)]
    for statement in (
        "CREATE SCHEMA another",
        "CREATE DATABASE another",
        "CREATE ROLE another",
        "ALTER SYSTEM RESET ALL",
    ):
        with pytest.raises((errors.InsufficientPrivilege, errors.ActiveSqlTransaction)):
            execute(own, statement)
    assert execute(own, "SELECT count(*) FROM connections") == [(0,)]


def test_the_reading_role_reads_and_changes_nothing(roles: tuple[str, str, str]) -> None:
    _, _, reading = roles

    assert len(execute(reading, "SELECT * FROM fleet_runs")) == 6
    assert execute(reading, "SELECT name, connector FROM connections") == []
    with pytest.raises(errors.InsufficientPrivilege):
        execute(reading, "SELECT credentials FROM connections")
    for statement in (
        "DELETE FROM runs",
        "SET default_transaction_read_only = off; DELETE FROM runs",
        "CREATE TABLE another (id int)",
    ):
        with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
            execute(reading, statement)
