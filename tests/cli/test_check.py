"""An account is tried on the command line, before it is saved or as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.connector import AuthExpired, Check, Context, Reached, SourceAccount
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli
from tests.support.scripted import ScriptedConnector, manifest

GOOD, BAD = "the-right-token", "a-wrong-token"
MANIFEST = manifest(
    "items",
    credentials={"token": {"title": "Token"}},
    settings={"place": {"title": "Place", "default": "here"}, "folder": {"title": "Folder", "type": "path"}},
)
ADD = ("connection", "add", "mine", "--connector", "scripted")


def try_token(context: Context) -> Reached:
    """Takes the one token that is right."""
    if context.secret("token").get_secret_value() != GOOD:
        raise AuthExpired("the token is not accepted")
    return Reached(holds={f"items in {context.settings['place']}": 1234})


def only_here(context: Context) -> Reached:
    """Finds the one place that there is."""
    if context.settings["place"] != "here":
        raise ConfigurationError("there is no such place")
    return Reached()


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, try_token)


def install(monkeypatch: pytest.MonkeyPatch, check: Check | None) -> None:
    connector = ScriptedConnector(MANIFEST, "scripted", checks=check)
    monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})


def test_an_account_that_works_is_added_with_what_it_reaches(cli: Cli) -> None:
    said = cli.ok(*ADD, stdin=f"{GOOD}\n")

    assert said.startswith("It reaches 1,234 items in here.\nAdded mine.")


def test_a_wrong_token_is_refused_before_anything_is_saved(cli: Cli) -> None:
    said = cli.refusal(*ADD, stdin=f"{BAD}\n")

    assert said == "The token is not accepted. Nothing was saved; to save it all the same, say --no-check.\n"
    assert cli.json("connection", "list") == []
    assert BAD not in cli.printed


def test_an_account_that_does_not_work_yet_is_saved_on_the_owners_word(cli: Cli) -> None:
    assert cli.ok(*ADD, "--no-check", stdin=f"{BAD}\n").startswith("Added mine.")


def test_a_connector_without_a_check_is_noted_and_added(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)

    result = cli(*ADD, stdin=f"{GOOD}\n")

    assert "cannot be tried before its first run" in result.stderr
    assert result.stdout.startswith("Added mine.")


def test_a_path_that_is_not_there_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, None)

    said = cli.refusal(*ADD, "--set", f"folder={tmp_path}/nowhere", stdin=f"{GOOD}\n")

    assert f"names {tmp_path}/nowhere, which is not there" in said
    assert "--no-check" in said


@pytest.mark.parametrize(
    ("token", "options", "code", "finding"),
    [(GOOD, (), 0, "reached"), (BAD, (), 1, "refused"), (GOOD, ("--set", "place=there"), 0, "reached")],
)
def test_a_stored_account_is_checked(cli: Cli, token: str, options: tuple[str, ...], code: int, finding: str) -> None:
    cli.ok(*ADD, "--no-check", stdin=f"{token}\n")

    result = cli("connection", "check", "mine", *options)
    document = cli("connection", "check", "mine", *options, "--json")

    assert result.exit_code == document.exit_code == code
    assert f'"finding": "{finding}"' in document.stdout
    assert ("items in there" in result.stdout) == bool(options)
    assert cli.json("connection", "show", "mine")["settings"] == {}


def test_an_account_that_cannot_be_tried_has_an_exit_code_of_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok(*ADD, stdin=f"{GOOD}\n")
    install(monkeypatch, None)

    assert cli("connection", "check", "mine").exit_code == 3


def test_a_reference_that_gives_nothing_is_named(cli: Cli) -> None:
    result = cli(*ADD, "--secret", "token=env:NO_SUCH_VARIABLE")

    assert result.exit_code == 2
    assert "the variable NO_SUCH_VARIABLE, which is not set. Nothing was saved" in result.stderr


def test_a_credential_that_works_is_not_replaced_by_one_that_does_not(cli: Cli) -> None:
    cli.ok(*ADD, stdin=f"{GOOD}\n")

    refused = cli.refusal("connection", "secret", "mine", "token", stdin=f"{BAD}\n")

    assert "Nothing was saved; to save it all the same, say --no-check." in refused
    assert cli("connection", "check", "mine").exit_code == 0
    assert "It reaches 1,234" in cli.ok("connection", "secret", "mine", "token", stdin=f"{GOOD}\n")
    cli.ok("connection", "secret", "mine", "token", "--no-check", stdin=f"{BAD}\n")
    assert cli("connection", "check", "mine").exit_code == 1


def test_settings_that_work_are_not_replaced_by_some_that_do_not(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok(*ADD, stdin=f"{GOOD}\n")
    install(monkeypatch, only_here)

    refused = cli.refusal("connection", "set", "mine", "place=nowhere")

    assert "Nothing was saved; to save it all the same, say --no-check." in refused
    assert cli.json("connection", "show", "mine")["settings"] == {}
    cli.ok("connection", "set", "mine", "place=nowhere", "--no-check")
    cli.ok("connection", "set", "mine", "--every", "2h")
    assert cli.json("connection", "show", "mine")["settings"] == {"place": "nowhere"}


def test_another_account_than_the_connections_own_is_told(
    cli: Cli, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok(*ADD, stdin=f"{GOOD}\n")
    with db.begin() as connection:
        connection.execute(text("UPDATE connections SET account_identity = '1', account_label = 'me@data.example'"))
    install(monkeypatch, lambda _: Reached(SourceAccount(identity="2", label="you@data.example")))

    said = cli.ok("connection", "check", "mine")

    assert said == (
        "It reaches you@data.example. mine reads me@data.example (1): a run would stop, and ask for your word.\n"
    )
