"""Every container of the Kubernetes manifests does its work outside a cluster: as its account, on a read-only root.

Those of compose that run programs become that account by themselves.
The namespace is this machine's: `unshare` gives the command mounts of its own, `setpriv` takes every capability away.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from pdpp_worker.privileges import CAPABILITIES
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.chaos.servers import PostgresProcess, ValkeyProcess
from tests.matrix.others import process
from tests.support.fleet import ROOT
from tests.support.servers import temporary_data_dir
from tests.support.waiting import until
from tests.test_compose import PROGRAMS as WITH_PROGRAMS
from tests.test_compose import SERVICES, expanded
from tests.test_kubernetes import CONTAINERS, PODS, secrets_of

ACCOUNT = PODS["collect"]["spec"]["securityContext"]["runAsUser"]
PYTHON = f"/run/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAMS = {"celery": "celery", "pdpp-worker": "pdpp_worker", "python": ""}
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_MATRIX" not in os.environ, reason="takes mounts of its own: make matrix"),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare"),
]
_CONFINED = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/secrets/pdpp /run/bin /run/data /run/python
mount --bind "$INTERPRETER" /run/python
cp "$SECRETS"/* /run/secrets/pdpp/
cp "$PROGRAMS"/* /run/bin/
chown -R "$ACCOUNT:$ACCOUNT" /run/secrets/pdpp /run/data
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
cd /run/data
exec setpriv --no-new-privs --inh-caps=-all $BECOMES "$@"
"""
_POD = f"--reuid {ACCOUNT} --regid {ACCOUNT} --clear-groups"
_COMPOSE = f"--bounding-set=-all,{','.join(f'+{name.lower()}' for name in CAPABILITIES)}"
"""Root in a container that drops all capabilities and adds these."""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The secrets of the fleet, which name servers on loopback."""
    with temporary_data_dir() as home, ExitStack() as stack:
        servers = PostgresProcess(home), ValkeyProcess(home)
        for server in servers:
            stack.callback(server.kill)
            server.start()
        postgres, valkey = servers
        yield {
            "database_url": postgres.url.replace("+psycopg", ""),
            "redis_url": valkey.redis_url,
            "broker_url": valkey.broker_url,
            "secret_key": Fernet.generate_key().decode(),
            "web_password": "a password",
            "flower_basic_auth": "owner:a password",
        }


@contextmanager
def started(
    name: str, command: list[str], urls: dict[str, str], directory: Path, becomes: str = _POD, **extra: str
) -> Iterator[tuple[Any, Path]]:
    """The command of a container, confined as there; yields it and its log."""
    secrets, programs = directory / "secrets", directory / "programs"
    for folder in (secrets, programs):
        folder.mkdir(exist_ok=True)
    for one in secrets_of(name):
        (secrets / one).write_text(urls[one])
    for program, module in PROGRAMS.items():
        runs = f'-m {module} "$@"' if module else '"$@"'
        (programs / program).write_text(f"#!/bin/sh\nexec {PYTHON} {runs}\n")
        (programs / program).chmod(0o755)
    site = next((ROOT / ".venv" / "lib").glob("python3.*/site-packages"))
    values = {one["name"]: one["value"] for one in CONTAINERS[name]["env"] if "METRICS" not in one["name"]}
    given = {
        **values,
        "BECOMES": becomes,
        "SECRETS": str(secrets),
        "PROGRAMS": str(programs),
        "ACCOUNT": str(ACCOUNT),
        "INTERPRETER": sys.base_prefix,
        "LD_LIBRARY_PATH": "/run/python/lib",
        "PATH": "/run/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": f"{ROOT}:{site}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PDPP_DATA_DIR": "/run/data",
        **extra,
    }
    confined = ("unshare", "--mount", "sh", "-c", _CONFINED, "sh", *command)
    log = f"{name}-{len(list(directory.iterdir()))}.log"
    with process(*confined, directory=directory, log=log, **given) as running:
        yield running, directory / log


def migrated(urls: dict[str, str]) -> None:
    db = Database(make_url(urls["database_url"]).set(drivername="postgresql+psycopg").render_as_string(False))
    migrate.upgrade(db)
    db.close()


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_does_its_work_as_its_account_on_a_read_only_root(
    name: str, urls: dict[str, str], tmp_path: Path
) -> None:
    if name != "migrate":
        migrated(urls)

    with started(name, CONTAINERS[name]["command"], urls, tmp_path) as (running, log):
        until(lambda: is_at_work(name, urls, tmp_path) or running.poll() == 0, running)

    assert not running.returncode or name != "migrate", log.read_text()
    assert not re.search("Read-only file system|Permission denied", log.read_text())


@pytest.mark.parametrize("name", sorted(WITH_PROGRAMS))
def test_a_container_of_compose_that_runs_programs_becomes_the_fleet_and_gives_them_users(
    name: str, urls: dict[str, str], tmp_path: Path
) -> None:
    migrated(urls)
    entrypoint = [word.replace("$$", "$") for word in SERVICES[name]["entrypoint"]]
    user = {"PDPP_CONNECTOR_USER": expanded(SERVICES[name]["environment"]["PDPP_CONNECTOR_USER"])}
    pod, command = ("collect", ["audit"]) if name == "cli" else (name, CONTAINERS[name]["command"])

    with started(pod, [*entrypoint, *command], urls, tmp_path, _COMPOSE, **user) as (running, log):
        until(lambda: ("[queues]" in log.read_text() and is_at_work(pod, urls, tmp_path)) or running.poll() is not None)

    assert (running.returncode == 0) == (name == "cli"), log.read_text()
    assert not re.search("Read-only file system|Permission denied|not permitted", log.read_text())


def is_at_work(name: str, urls: dict[str, str], directory: Path) -> bool:
    """Whether the container's own probe says so."""
    if "readinessProbe" in CONTAINERS[name]:
        (port,) = CONTAINERS[name]["ports"]
        return answers(
            f"http://127.0.0.1:{port['containerPort']}{CONTAINERS[name]['readinessProbe']['httpGet']['path']}"
        )
    return "livenessProbe" in CONTAINERS[name] and probed(name, urls, directory) == 0


def probed(name: str, urls: dict[str, str], directory: Path) -> int:
    """The status of the container's own probe, asked in a container like it."""
    with started(name, CONTAINERS[name]["livenessProbe"]["exec"]["command"], urls, directory) as (probe, _):
        status: int = probe.wait(60)
        return status


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http on loopback
        return bool(answer.status == 200)
    return False
