"""An account is tried before it is saved: a form says what it reaches, or why it does not work."""

from __future__ import annotations

from typing import Any

import pytest

from pdpp_worker.connector import AuthExpired, Context, Reached, SourceAccount
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario, manifest
from tests.web.conftest import Owner, Running, inputs

GOOD, BAD = "the-right-token", "a-wrong-token"
MANIFEST = manifest(
    "items",
    credentials={"token": {"title": "Token"}},
    settings={"place": {"title": "Place", "default": "here"}},
)
ADD, PAGE = "/connections/add?connector=scripted", "/connections/1"
FIELDS = {"connector": "scripted", "name": "other", "set.place": "there"}


def try_token(context: Context) -> Reached:
    """Takes the one token that is right, wherever."""
    if context.secret("token").get_secret_value() != GOOD:
        raise AuthExpired(f"the token {context.secret('token').get_secret_value()} is not accepted")
    if context.settings["place"] == "nowhere":
        raise AuthExpired("there is no such place")
    return Reached(
        SourceAccount(identity="1", label="owner@data.example"), {f"items in {context.settings['place']}": 3}
    )


@pytest.fixture(autouse=True)
def _installed(scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), MANIFEST, try_token)


def names(scenario: Scenario) -> list[str]:
    return [row["name"] for row in scenario.rows("SELECT name FROM connections ORDER BY id")]


def kept(html: str) -> dict[str, str]:
    """The credentials that a page keeps."""
    return {name: value for name, value in inputs(html) if name.startswith("kept.")}


def test_a_wrong_token_is_told_before_anything_is_saved(owner: Owner, scenario: Scenario) -> None:
    response = owner.post("/connections/add", ADD, **FIELDS, **{"secret.token": BAD})

    assert response.status_code == 400
    assert "It does not work" in response.text
    assert "is not accepted. Nothing was saved." in response.text
    assert names(scenario) == ["mine"]


def test_a_check_says_what_it_reaches_and_saves_nothing(owner: Owner, scenario: Scenario) -> None:
    said = owner.done("/connections/add/check", ADD, **FIELDS, **{"secret.token": GOOD})

    assert "It reaches owner@data.example: 3 items in there." in said
    assert names(scenario) == ["mine"]
    assert scenario.rows("SELECT 1 FROM runs") == scenario.rows("SELECT 1 FROM audit") == []


@pytest.mark.parametrize("token", [GOOD, BAD])
def test_the_form_comes_back_as_it_was_typed_and_shows_no_secret(owner: Owner, token: str) -> None:
    said = owner.done("/connections/add/check", ADD, **FIELDS, **{"secret.token": token}, every="2h")

    assert dict(inputs(said)) | {"name": "other", "set.place": "there", "every": "2h"} == dict(inputs(said))
    assert token not in said


def test_a_token_that_was_checked_need_not_be_typed_again(owner: Owner, scenario: Scenario) -> None:
    checked = owner.done("/connections/add/check", ADD, **FIELDS, **{"secret.token": GOOD})

    said = owner.done("/connections/add", ADD, **FIELDS, **kept(checked), **{"secret.token": ""})

    assert "Added other. It reaches owner@data.example" in said
    assert names(scenario) == ["mine", "other"]


def test_an_account_that_does_not_work_yet_is_saved_on_the_owners_word(owner: Owner, scenario: Scenario) -> None:
    refused = owner.post("/connections/add", ADD, **FIELDS, **{"secret.token": BAD})

    owner.done("/connections/add", ADD, **FIELDS, **kept(refused.text), unchecked="1")

    assert "Save it all the same" in refused.text
    assert names(scenario) == ["mine", "other"]


def test_a_connector_without_a_check_says_so_and_is_added(owner: Owner, scenario: Scenario) -> None:
    scenario.install(lambda _start, _context: iter(()), MANIFEST)

    assert "cannot be tried before its first run" in owner.done(
        "/connections/add/check", ADD, **FIELDS, **{"secret.token": GOOD}
    )
    assert "Added other." in owner.done("/connections/add", ADD, **FIELDS, **{"secret.token": GOOD})


@pytest.mark.parametrize("name", ["", "mine", "no name"])
def test_what_cannot_be_saved_comes_back_with_the_reason(owner: Owner, scenario: Scenario, name: str) -> None:
    response = owner.post("/connections/add", ADD, **{**FIELDS, "name": name, "secret.token": GOOD})

    assert response.status_code == 400
    assert "Nothing was saved." in response.text
    assert dict(inputs(response.text))["set.place"] == "there"
    assert names(scenario) == ["mine"]


def credential_of(scenario: Scenario) -> Any:
    return scenario.one("SELECT settings, credentials FROM connections WHERE id = 1")


def test_another_credential_is_checked_and_then_replaced(owner: Owner, scenario: Scenario) -> None:
    wrong = owner.done(f"{PAGE}/check", PAGE, **{"credential": "token", "secret.token": BAD})
    right = owner.done(f"{PAGE}/check", PAGE, **{"credential": "token", "secret.token": GOOD})
    before = credential_of(scenario)["credentials"]

    owner.done(f"{PAGE}/credential", PAGE, credential="token", **kept(right))

    assert "is not accepted" in wrong
    assert "3 items in here" in right
    assert before == {}
    assert "3 items in here" in owner.done(f"{PAGE}/check", PAGE)


def test_other_settings_are_checked_with_the_stored_credential_and_not_saved(owner: Owner, scenario: Scenario) -> None:
    owner.done(f"{PAGE}/credential", PAGE, **{"credential": "token", "secret.token": GOOD})

    said = owner.done(f"{PAGE}/check", PAGE, **{"set.place": "elsewhere"})

    assert "3 items in elsewhere" in said
    assert dict(inputs(said))["set.place"] == "elsewhere"
    assert credential_of(scenario)["settings"] == {}


@pytest.mark.parametrize(
    ("form", "wrong"),
    [("credential", {"credential": "token", "secret.token": BAD}), ("settings", {"set.place": "nowhere"})],
)
def test_what_works_is_replaced_by_what_does_not_on_the_owners_word_alone(
    owner: Owner, scenario: Scenario, form: str, wrong: dict[str, str]
) -> None:
    owner.done(f"{PAGE}/credential", PAGE, **{"credential": "token", "secret.token": GOOD})
    held = credential_of(scenario)

    refused = owner.post(f"{PAGE}/{form}", PAGE, **wrong)
    still = credential_of(scenario)
    owner.done(f"{PAGE}/{form}", PAGE, **{**wrong, **kept(refused.text), "unchecked": "1"})

    assert refused.status_code == 400
    assert "Nothing was saved." in refused.text
    assert "Save it all the same" in refused.text
    assert still == held
    assert credential_of(scenario) != held


def test_a_console_that_only_shows_checks_nothing(scenario: Scenario, settings: Settings, db: Database) -> None:
    running = Running(settings.model_copy(update={"web_read_only": True}), db)
    try:
        owner = Owner(running)
        token = running.server.access.token(owner.browser.cookies[running.server.access.cookie])
        answer = owner.browser.post("/connections/add/check", data={"token": token, **FIELDS, "secret.token": GOOD})
        owner.browser.close()
    finally:
        running.close()

    assert answer.status_code == 403
    assert "only shows" in answer.text
