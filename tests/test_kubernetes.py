"""The manifests of docker/kubernetes fit each other, our program and compose.yaml, and ask for no rights."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdpp_worker.setting_files import file_variables
from pdpp_worker.settings import Settings, setting_names
from pdpp_worker.store.engine import Database
from tests.support.databases import Databases
from tests.test_deployment_files import COMPOSE, compose_command

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docker" / "kubernetes"
LISTS = sorted(FOLDER.rglob("kustomization.yaml"))
Object = dict[str, Any]


def objects(*under: str) -> Iterator[Object]:
    """The objects of the files that the lists below these folders name."""
    for listed in LISTS:
        if listed.is_relative_to(FOLDER.joinpath(*under)):
            for name in yaml.safe_load(listed.read_text()).get("resources", []):
                path = listed.parent / name
                if path.is_file():
                    yield from yaml.safe_load_all(path.read_text())


def named(kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


PODS = {name: one["spec"]["template"] for kind in ("Deployment", "Job") for name, one in named(kind).items()}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}
WORKERS = ("control", "collect", "local")


def test_every_file_is_listed_and_every_listed_one_is_there() -> None:
    listed = {
        (path.parent / name).resolve()
        for path in LISTS
        for part in ("resources", "components", "patches")
        for entry in yaml.safe_load(path.read_text()).get(part, [])
        for name in [entry if isinstance(entry, str) else entry["path"]]
    }

    assert all(path.exists() for path in listed)
    assert set(FOLDER.rglob("*.yaml")) - set(LISTS) == {path for path in listed if path.is_file()}


def test_each_queue_has_a_deployment_and_beat_is_alone() -> None:
    assert named("Deployment").keys() == {*WORKERS, "beat", "web", "flower"}
    assert named("Deployment")["beat"]["spec"]["replicas"] == 1
    assert named("Deployment")["beat"]["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("name", [*WORKERS, "beat", "web", "migrate"])
def test_a_container_runs_the_command_of_compose(name: str) -> None:
    assert CONTAINERS[name]["command"] == compose_command(name)


def test_flower_runs_the_command_of_compose_with_its_own_secret() -> None:
    ours, theirs = CONTAINERS["flower"]["command"][-1], COMPOSE["flower"]["command"][-1].replace("$$", "$")

    assert ours == theirs.replace("/run/secrets/", "/run/secrets/pdpp/")


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_no_rights(name: str) -> None:
    pod, container = PODS[name]["spec"], CONTAINERS[name]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_settings_are_real_and_secrets_are_files_that_are_mounted(name: str) -> None:
    variables = {one["name"]: one["value"] for one in CONTAINERS[name]["env"]}
    files = {path for variable, path in variables.items() if variable in file_variables(Settings)}
    settings = named("ConfigMap")["pdpp-settings"]["data"]

    assert {*variables, *settings} <= {*setting_names(), *file_variables(Settings)}
    assert {f"/run/secrets/pdpp/{one}" for one in secrets_of(name)} >= files
    assert not set(variables) & {one.removesuffix("_FILE") for one in file_variables(Settings)}


def secrets_of(name: str) -> set[str]:
    """The secrets that a pod mounts."""
    (volume,) = [one for one in PODS[name]["spec"]["volumes"] if one["name"] == "secrets"]
    (source,) = volume["projected"]["sources"]
    assert source["secret"]["name"] == "pdpp-secrets"
    return {item["key"] for item in source["secret"]["items"]}


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_the_secrets_of_its_service_and_its_mounts_have_volumes(name: str) -> None:
    volumes = {one["name"]: one for one in PODS[name]["spec"]["volumes"]}
    claims = {one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "persistentVolumeClaim" in one}

    assert secrets_of(name) == set(COMPOSE[name]["secrets"])
    assert {one["name"] for one in CONTAINERS[name]["volumeMounts"]} == set(volumes)
    assert claims <= named("PersistentVolumeClaim").keys()
    assert bool(claims) == any("data:" in one for one in COMPOSE[name].get("volumes", []))
    assert PODS[name]["spec"]["serviceAccountName"] in named("ServiceAccount")
    assert CONTAINERS[name]["envFrom"] == [{"configMapRef": {"name": "pdpp-settings"}}]


def selected(selector: Object) -> set[str]:
    """The pods that a selector means."""
    wanted, among = selector.get("matchLabels", selector), selector.get("matchExpressions", [])
    return {
        name
        for name, pod in PODS.items()
        if wanted.items() <= pod["metadata"]["labels"].items()
        and all(pod["metadata"]["labels"].get(one["key"]) in one["values"] for one in among)
    }


def test_selectors_mean_the_pods_that_they_are_for() -> None:
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, one in named(kind).items():
            assert selected(one["spec"]["selector"]) == {name}
    for name, one in named("Service").items():
        assert selected(one["spec"]["selector"]) == {name}
        assert one["spec"]["ports"][0]["targetPort"] in {port["name"] for port in CONTAINERS[name]["ports"]}
    policies = {name: selected(one["spec"]["podSelector"]) for name, one in named("NetworkPolicy").items()}
    assert policies == {
        "nothing-by-default": set(PODS),
        "servers": set(PODS),
        "providers": {"collect", "local", "web"},
        "metrics": set(WORKERS),
        "pages": {"web", "flower"},
    }


@pytest.mark.parametrize("component", ["keda", "hpa"])
def test_scalers_scale_deployments_that_are_there_and_leave_their_number_to_them(component: str) -> None:
    scalers = [one for one in objects("components", component) if "scaleTargetRef" in one["spec"]]
    patched = list(yaml.safe_load_all((FOLDER / "components" / component / "replicas.yaml").read_text()))

    assert {one["spec"]["scaleTargetRef"]["name"] for one in scalers} == {"collect", "local"}
    assert {one["metadata"]["name"] for one in patched} == {"collect", "local"}
    assert all(one["spec"]["replicas"] is None for one in patched)


def test_the_queries_of_keda_are_answered(databases: Databases) -> None:
    scalers = [one for one in objects("components", "keda") if one["kind"] == "ScaledObject"]
    queries = [trigger["metadata"]["query"] for one in scalers for trigger in one["spec"]["triggers"]]

    with databases.lent() as url:
        db = Database(url)
        with db.begin() as connection:
            assert [connection.exec_driver_sql(query).scalar_one() for query in queries] == [0, 0]
        db.close()


@pytest.mark.parametrize("name", WORKERS)
def test_the_probe_of_a_worker_asks_by_its_own_name(name: str) -> None:
    shell, flag, script = CONTAINERS[name]["livenessProbe"]["exec"]["command"]

    assert (shell, flag) == ("/bin/sh", "-c")
    assert shlex.split(script) == ["exec", "python", "-m", "pdpp_worker.tasks.alive", f"{name}@$(hostname)"]
    assert f"--hostname={name}@%h" in CONTAINERS[name]["command"]
    assert COMPOSE[name]["stop_grace_period"] == f"{PODS[name]['spec']['terminationGracePeriodSeconds']}s"


@pytest.mark.process
@pytest.mark.parametrize("name", ["control", "beat", "web", "migrate"])
def test_a_command_is_one_of_our_programs_and_its_arguments_are_known(name: str, tmp_path: Path) -> None:
    program, *arguments = CONTAINERS[name]["command"]
    module = {"celery": "celery", "pdpp-worker": "pdpp_worker"}[program]
    command = [sys.executable, "-m", module, *arguments, "--help"]
    env = {"PATH": os.environ["PATH"], "PDPP_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    result = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert re.search("usage", result.stdout, re.IGNORECASE)
