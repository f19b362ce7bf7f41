"""Adding, changing and removing connections."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdpp_worker import registry
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest, record

TOKEN = "sk-never-to-be-seen"

BANK = manifest(
    name="bank",
    title="Bank",
    schedule_every_s=7200,
    pacing={"min_interval_ms": 400},
    credentials={"token": {"title": "Token"}, "pin": {"title": "PIN", "required": False}},
    settings={
        "pages": {"title": "Pages", "type": "integer", "default": 3},
        "ratio": {"title": "Ratio", "type": "number"},
        "full": {"title": "Full", "type": "boolean"},
        "folder": {"title": "Folder", "type": "path"},
        "address": {"title": "Address", "type": "url"},
    },
)


@pytest.fixture(autouse=True)
def _bank(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = Manifest.model_validate(
        {
            "name": "strict",
            "version": "2.0",
            "title": "Strict",
            "settings": {"account": {"title": "Account", "required": True}},
            "streams": [{"name": "items"}],
        }
    )
    known = {one.name: registry.Connector(one, "none") for one in (BANK, strict)}
    monkeypatch.setattr(registry, "all_connectors", lambda: known)


def test_a_connection_is_stored_as_it_was_described(cli: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)

    cli.ok(
        "connection", "add", "mine", "--connector", "bank",
        "--set", "pages=7", "--set", "full=yes", "--set", "ratio=0.5", "--set", "address=https://bank.test/x",
        "--secret", f"token=file:{secret}", "--every", "90m", "--min-interval-ms", "1500",
    )  # fmt: skip

    shown = cli.json("connection", "show", "mine")
    assert shown["settings"] == {"pages": 7, "full": True, "ratio": 0.5, "address": "https://bank.test/x"}
    assert shown["credentials"] == {"token": f"file:{secret}"}
    assert (shown["every_s"], shown["jitter_s"], shown["cron"]) == (5400, 540, None)
    assert shown["rate_ceiling"] == {"min_interval_ms": 1500, "source": "this connection"}
    assert datetime.fromisoformat(shown["next_run_at"]) <= datetime.now(UTC)
    assert shown["last_run_status"] is None


def test_without_options_the_manifest_decides(cli: Cli) -> None:
    cli.ok("connection", "add", "mine", "--connector", "bank", stdin=f"{TOKEN}\n")

    shown = cli.json("connection", "show", "mine")
    assert (shown["every_s"], shown["jitter_s"], shown["paused"]) == (7200, 720, False)
    assert shown["rate_ceiling"] == {"min_interval_ms": 400, "source": "the connector's default"}


def test_the_rate_ceiling_of_the_environment_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok("connection", "add", "mine", "--connector", "bank", stdin=f"{TOKEN}\n")
    monkeypatch.setenv("PDPP_BANK_PACING_MIN_INTERVAL_MS", "900")

    ceiling = cli.json("connection", "show", "mine")["rate_ceiling"]

    assert ceiling == {"min_interval_ms": 900, "source": "PDPP_BANK_PACING_MIN_INTERVAL_MS"}


def test_a_paths_setting_is_made_absolute_because_workers_run_elsewhere(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()

    cli.ok("connection", "add", "mine", "--connector", "bank", "--set", "folder=logs", stdin=f"{TOKEN}\n")

    assert cli.json("connection", "show", "mine")["settings"] == {"folder": str(tmp_path / "logs")}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "colour=red"], "known: pages, ratio, full, folder, address"),
        (["--set", "pages"], "key=value"),
        (["--set", "pages=many"], "a whole number"),
        (["--set", "ratio=nan"], "a number"),
        (["--set", "full=perhaps"], "true or false"),
        (["--set", "address=ftp://bank.test"], "http"),
        (["--set", "address=https://me:hidden@bank.test"], "without a password"),
        (["--every", "soon"], "1h30m"),
        (["--every", "1h", "--cron", "0 4 * * *"], "not both"),
        (["--cron", "every day"], "30 4"),
        (["--min-interval-ms", "0"], "positive number of milliseconds"),
        (["--secret", "token=env:"], "plain text"),
        (["--secret", "passphrase=env:X"], "known: token, pin"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(cli: Cli, options: list[str], said: str) -> None:
    assert said in cli.refusal("connection", "add", "mine", "--connector", "bank", *options, stdin=f"{TOKEN}\n")
    assert cli.json("connection", "list") == []


@pytest.mark.parametrize(
    "given", [f"token={TOKEN}", TOKEN, f"{TOKEN}=", f"{TOKEN}=env:X"], ids=["value", "bare", "padded", "swapped"]
)
def test_a_plain_secret_on_the_command_line_is_refused_and_not_repeated(cli: Cli, given: str) -> None:
    cli.refusal("connection", "add", "mine", "--connector", "bank", "--secret", given)

    assert TOKEN not in cli.printed


def test_a_connector_that_does_not_exist_is_named_with_those_that_do(cli: Cli) -> None:
    assert "known: bank, strict" in cli.refusal("connection", "add", "mine", "--connector", "banc")


def test_a_required_setting_is_asked_for(cli: Cli) -> None:
    assert "--set account=" in cli.refusal("connection", "add", "mine", "--connector", "strict")


def test_a_required_secret_that_nobody_gives_is_missed(cli: Cli) -> None:
    assert "token (Token) is needed" in cli.refusal("connection", "add", "mine", "--connector", "bank")


def test_a_name_is_taken_once(cli: Cli) -> None:
    cli.ok("connection", "add", "mine", "--connector", "strict", "--set", "account=1")

    assert "exists already" in cli.refusal("connection", "add", "mine", "--connector", "strict", "--set", "account=1")


@pytest.mark.parametrize("name", ["", "two words", "a/b", ".hidden", "\x1b[31m"])
def test_a_name_is_one_word(cli: Cli, name: str) -> None:
    assert "cannot be a name" in cli.refusal("connection", "add", name, "--connector", "strict")


def test_a_secret_from_standard_input_is_stored_encrypted(cli: Cli, settings: Settings, db: Database) -> None:
    cli.ok("connection", "add", "mine", "--connector", "bank", stdin=f"{TOKEN}\n")

    with db.begin() as connection:
        stored = connections.get(connection, "mine").credentials["token"]
    assert TOKEN not in stored
    assert Vault(settings).open(Place("bank", "mine", "token"), stored).get_secret_value() == TOKEN
    assert stat.S_IMODE((settings.data_dir / "secret.key").stat().st_mode) == 0o600
    assert cli.json("connection", "show", "mine")["credentials"] == {"token": "stored (encrypted)"}


def test_a_reference_that_cannot_be_read_here_is_remarked_upon(cli: Cli) -> None:
    result = cli("connection", "add", "mine", "--connector", "bank", "--secret", "token=env:NO_SUCH_VARIABLE")

    assert result.exit_code == 0
    assert "NO_SUCH_VARIABLE" in result.stderr


def test_no_command_shows_a_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PIN", "pin-never-to-be-seen")
    add = ("connection", "add", "mine", "--connector", "bank", "--secret", "token=-", "--secret", "pin=env:MY_PIN")

    cli.ok(*add, stdin=f"{TOKEN}\n")
    cli.ok("connection", "secret", "mine", "token", stdin=f"{TOKEN}-2\n")
    for command in (["connection", "show", "mine"], ["connection", "list"], ["status"], ["doctor"], ["events"]):
        cli(*command)
        cli(*command, "--json")

    assert "env:MY_PIN" in cli.printed
    assert TOKEN not in cli.printed
    assert "pin-never" not in cli.printed
    assert "enc:" not in cli.printed


def test_settings_schedule_and_ceiling_can_be_changed(cli: Cli) -> None:
    cli.ok("connection", "add", "mine", "--connector", "bank", "--set", "pages=7", "--set", "full=no", stdin=TOKEN)

    cli.ok("connection", "set", "mine", "pages=", "--set", "ratio=2", "--cron", "30 4 * * *")
    cli.ok("connection", "set-rate", "mine", "700")

    shown = cli.json("connection", "show", "mine")
    assert shown["settings"] == {"full": False, "ratio": 2.0}
    assert (shown["every_s"], shown["cron"]) == (None, "30 4 * * *")
    assert shown["rate_ceiling"]["min_interval_ms"] == 700
    cli.ok("connection", "set-rate", "mine", "default")
    assert cli.json("connection", "show", "mine")["rate_ceiling"]["min_interval_ms"] == 400


def test_a_paused_connection_says_so_and_can_be_resumed(cli: Cli) -> None:
    cli.ok("connection", "add", "mine", "--connector", "bank", "--paused", stdin=TOKEN)
    assert cli.json("connection", "show", "mine")["paused"] is True
    assert "paused" in cli.ok("connection", "list")

    cli.ok("connection", "resume", "mine")

    assert cli.json("connection", "show", "mine")["paused"] is False
    cli.ok("connection", "pause", "mine")
    assert cli.json("connection", "show", "mine")["paused"] is True


def test_a_connection_goes_with_its_records_and_only_when_told(cli: Cli, scenario: Scenario) -> None:
    scenario.send(record("a"), record("b"))
    scenario.run()

    assert "2 records" in cli.refusal("connection", "remove", "mine")
    assert len(scenario.held()) == 2
    assert "2 records" in cli.ok("connection", "remove", "mine", "--yes")
    assert scenario.held() == {}
    assert not list(scenario.settings.data_dir.glob("files/*"))
    assert "There is no connection named 'mine'" in cli.refusal("connection", "show", "mine")
