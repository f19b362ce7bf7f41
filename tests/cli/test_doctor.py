"""The doctor says what is wrong, and what to do about it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pdpp_worker.doctor import workers
from pdpp_worker.local.supervisor import hold_fleet
from pdpp_worker.settings import Settings, get_settings
from tests.cli.conftest import Cli
from tests.support.fleet import worker
from tests.support.waiting import until

NOWHERE = "127.0.0.1:1"

ADD = ("connection", "add", "mine", "--connector", "chatgpt", "--no-check")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    monkeypatch.setattr(workers, "_ANSWER_S", 0.2)


def _examine(cli: Cli, monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    cli("doctor")
    return {check["what"]: check for check in _json(cli)}


def _json(cli: Cli) -> Any:
    return json.loads(cli("doctor", "--json").stdout)


def _workers(cli: Cli) -> dict[str, Any]:
    return next(check for check in _json(cli) if check["what"] == "workers")


def _all_is_well(cli: Cli) -> str:
    """The doctor's output where nothing is wrong; a busy worker may be late with its answer."""
    result = cli("doctor")
    return result.stdout if result.exit_code == 0 else ""


def test_with_workers_on_every_queue_all_is_well(
    cli: Cli, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_ANSWER_S", 2.0)
    with worker(settings, tmp_path) as member:
        member.wait_for("ready")
        said = until(lambda: _all_is_well(cli), member)

    assert "WRONG" not in said
    for what in ("PostgreSQL", "schema", "Redis", "workers", "connector chatgpt", "disk space", "data directory"):
        assert what in said


def test_a_queue_that_nobody_serves_is_named(
    cli: Cli, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_ANSWER_S", 2.0)
    with worker(settings, tmp_path, queues="control,local") as member:
        member.wait_for("ready")

        until(lambda: "no worker takes from collect." in _workers(cli)["found"], member)

        assert not _workers(cli)["ok"]


@pytest.mark.parametrize(("queue", "is_missed"), [("local", False), ("collect", True)])
def test_a_worker_that_a_running_fleet_starts_on_request_is_not_missed(
    tmp_path: Path, queue: str, *, is_missed: bool
) -> None:
    before = workers.starts_on_request(queue, tmp_path)
    lock = hold_fleet(tmp_path)
    try:
        during = workers.starts_on_request(queue, tmp_path)
    finally:
        os.close(lock)

    assert (before, during, workers.starts_on_request(queue, tmp_path)) == (False, not is_missed, False)


def test_without_workers_it_says_how_to_start_them(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli("doctor")

    assert result.exit_code == 1
    assert "pdpp-worker up" in result.stdout
    found = _examine(cli, monkeypatch)
    assert [what for what, check in found.items() if not check["ok"]] == ["workers"]


def test_a_database_out_of_reach_is_told_from_the_rest(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _examine(cli, monkeypatch, PDPP_DATABASE_URL=f"postgresql://me:hidden@{NOWHERE}/pdpp")

    assert "PDPP_DATABASE_URL" in found["PostgreSQL"]["found"]
    assert "schema" not in found
    assert found["Redis"]["ok"]
    assert "hidden" not in cli.printed


def test_redis_out_of_reach_is_told_from_the_rest(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _examine(cli, monkeypatch, PDPP_REDIS_URL=f"redis://:hidden@{NOWHERE}/0")

    assert "PDPP_REDIS_URL" in found["Redis"]["found"]
    assert found["PostgreSQL"]["ok"]
    assert "hidden" not in cli.printed


def test_a_redis_that_may_forget_is_refused(cli: Cli, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = _examine(cli, monkeypatch)["Redis"]
    finally:
        redis.config_set("maxmemory-policy", "noeviction")

    assert not found["ok"]
    assert "allkeys-lru" in found["found"]


def test_valkey_is_told_by_its_own_version(cli: Cli, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _examine(cli, monkeypatch)["Redis"]

    assert found["found"] == f"Valkey {redis.info()['valkey_version']}, noeviction"


def test_an_address_of_notices_that_nobody_knows_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise")

    found = _examine(cli, monkeypatch, PDPP_NOTIFY_URL="ntfy://topic nfty://hidden")["notices"]

    assert (found["ok"], found["found"]) == (False, "Address 2 of PDPP_NOTIFY_URL is none that apprise knows.")
    assert "hidden" not in cli.printed


def test_notices_without_the_program_that_sends_them_are_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    found = _examine(cli, monkeypatch, PDPP_NOTIFY_URL="ntfy://topic")["notices"]

    assert (found["ok"], "pdpp-worker[notify]" in found["found"]) == (False, True)


def test_a_credential_that_cannot_be_read_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok(*ADD, "--secret", "access_token=env:NO_SUCH_VARIABLE")

    found = _examine(cli, monkeypatch)["credential access_token of mine"]

    assert not found["ok"]
    assert "NO_SUCH_VARIABLE" in found["found"]


def test_a_data_directory_that_is_a_file_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = _examine(cli, monkeypatch, PDPP_DATA_DIR=str(tmp_path / "file"))["data directory"]

    assert not found["ok"]
    assert "PDPP_DATA_DIR" in found["found"]


def test_settings_that_cannot_be_understood_are_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_SLICE_S", "soon")
    get_settings.cache_clear()

    assert "PDPP_SLICE_S" in cli.refusal("doctor")


def test_a_variable_that_only_looks_like_a_setting_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok(*ADD, "--secret", "access_token=env:PDPP_MY_TOKEN")

    found = _examine(cli, monkeypatch, PDPP_MY_TOKEN="hidden", PDPP_MY_OTHER="x")

    assert [what for what in found if what.startswith("variable ")] == ["variable PDPP_MY_OTHER"]
    assert found["variable PDPP_MY_OTHER"]["ok"]
    assert "hidden" not in cli.printed


def test_a_ceiling_of_a_connector_that_is_mistyped_is_wrong(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _examine(cli, monkeypatch, PDPP_CHATGTP_PACING_MIN_INTERVAL_MS="500")["settings"]

    assert not found["ok"]
    assert "did you mean PDPP_CHATGPT_PACING_MIN_INTERVAL_MS" in found["found"]


@pytest.mark.parametrize("place", ["_disk_space", "_redis", "registry.refused_connectors", "outlook.read", "resolve"])
def test_a_check_that_fails_itself_is_a_line_and_no_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("an odd value\nand more")

    monkeypatch.setattr(f"pdpp_worker.doctor.checks.{place}", fail)

    result = cli("doctor")

    assert result.exit_code == 1
    assert "ValueError: an odd value" in " ".join(result.stdout.split())
    assert "workers" in result.stdout or place == "resolve"


def test_the_data_of_a_checkout_that_was_moved_is_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "before-0123" / "embedded" / "postgres" / "data").mkdir(parents=True)
    monkeypatch.setattr("pdpp_worker.data_dirs.default_data_dir", lambda: tmp_path / "now-4567")

    found = _examine(cli, monkeypatch, PDPP_DATA_DIR=str(tmp_path / "now-4567"))["data directory"]

    assert str(tmp_path / "before-0123") in found["found"]
