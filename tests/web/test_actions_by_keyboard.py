"""Every action of every page is done by keyboard alone, in Chromium without JavaScript.

The actions are read from the templates: one that is added there fails here until a step does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from jinja2 import nodes
from pydantic import SecretStr

from pdpp_worker.connector import Context, Message, Reason, ResourceScope, Start, skip
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.web import rendering
from pdpp_worker.web.rendering import environment
from tests.support.indexing import index_at_once
from tests.support.scripted import Scenario, manifest, record, state
from tests.web.conftest import Running
from tests.web.test_browser import chromium, pytestmark
from tests.web.test_checks import ADD, BAD, GOOD, try_token

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["chromium", "pytestmark"]
TABS = """([member, wanted]) => {
    const kinds = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']";
    const stops = [...document.querySelectorAll(kinds)].filter((one) => one.checkVisibility());
    const next = stops.indexOf(document.activeElement) + 1;
    return Math.max(0, stops.slice(next).findIndex((one) => (one[member] ?? "").trim() === wanted) - 3);
}"""
"""Presses of Tab that lead nearly there."""
MORE_TABS = 12
TEMPLATES = Path(rendering.__file__).parent / "templates"
PASSWORD = "a-password-of-the-owner"
MINE, ITEMS = "/connections/1", "/connections/1/streams/items"
STREAM = {"name": "items", "reading": {"author": "who", "text": "title"}}
TARGETED = {"supports_targeted_resource_fetch": True}
PLAIN = manifest(STREAM, recovery=TARGETED)
WITH_FORMS = manifest(
    STREAM,
    recovery=TARGETED,
    credentials={"token": {"title": "Token"}},
    settings={"place": {"title": "Place", "default": "here"}},
)
ACCOUNTS = "UPDATE connections SET account_identity = 'a', other_identity = 'b', other_label = 'new' WHERE id = 1"
DOUBT = (
    "INSERT INTO deletion_doubts (connection_id, stream, key, state, first_run_id, last_run_id, said_at) "
    "VALUES (1, 'items', '1', 'waiting', 1, 1, now())"
)
GIVEN_UP = "UPDATE gaps SET status = 'exhausted', next_attempt_at = NULL WHERE id = 1"

Prepare = Callable[[Scenario], object]


class Step(NamedTuple):
    """An action: its button in its template, and what somebody does to come to it."""

    button: str
    """Template and label, as `gaps: Recover`."""
    says: str
    """Words of the page that follows; of a download, its first record."""
    at: str | None = None
    """The page on which it is; None: the one that the step before led to."""
    types: Mapping[str, str] = {}
    """Field to what is typed in it before; a space ticks a box."""
    prepare: Prepare = lambda _: None
    shows: str = ""
    """The label as it is shown, where it holds a value."""


def sql(*statements: str) -> Prepare:
    """Execute statements before."""
    return lambda scenario: scenario.execute(f"DO $$ BEGIN {'; '.join(statements)}; END $$")


def nothing(_start: Start, _context: Context) -> Iterator[Message]:
    """Collect nothing."""
    return iter(())


def sign_up(scenario: Scenario) -> None:
    """Let the connector ask for a credential."""
    scenario.install(nothing, WITH_FORMS, try_token)


def work(scenario: Scenario) -> None:
    """End the active run."""
    scenario.work()


def collect(scenario: Scenario) -> None:
    """Let the active run bring more than a page of records, and miss two."""
    scenario.install(lambda start, _: iter(() if start.recovery_only else messages()), None, try_token)
    scenario.work()
    index_at_once(scenario.db)


def messages() -> list[Message]:
    """Records and misses of a run."""
    records = [record(str(number), title="wombat", who="somebody") for number in range(51)]
    return [*records, *(skip("items", Reason.TIMED_OUT, ResourceScope(resource_id=key)) for key in "xy"), state(1)]


PAUSED = "UPDATE schedules SET paused = true"
STEPS = (
    Step("enter: Sign in", "Am I missing anything?", "/", {"password": PASSWORD}),
    Step("parts: Collect now", "Run 1 of mine is queued."),
    Step("run: Stop it", "is asked to stop"),
    Step("parts: Change the schedule", "Changed the schedule", MINE, {"every": "1h"}, work),
    Step("connection: Collect now", "Run 2 of mine is queued."),
    Step("connection: Stop the run", "is asked to stop", MINE),
    Step("connection: Walk everything anew", "Run 3 of mine is queued.", MINE, prepare=work),
    Step("connection: Pause", "is paused", MINE, prepare=collect),
    Step("connection: Resume", "on schedule again", MINE, prepare=sql(PAUSED, ACCOUNTS)),
    Step("parts: Take the other account for its own", "mine reads new"),
    Step("parts: Resume", "on schedule again", MINE, prepare=sql(PAUSED)),
    Step("connection: Keep them", "Kept 1 records.", MINE, prepare=sql(DOUBT)),
    Step("connection: Delete them here too", "Deleted 1 records", MINE, prepare=sql(DOUBT.replace("'1'", "'2'"))),
    Step("connection: What would that cost?", "Set the ceiling to 500 ms", types={"rate": "500"}),
    Step("connection: Set the ceiling to", "Changed the rate", f"{MINE}?rate=500", shows="Set the ceiling to 500 ms"),
    Step("connection: Back to the connector's ceiling", "Changed the rate ceiling"),
    Step("parts: Replace …", "It does not work", types={"secret.token": BAD}, shows="Replace token"),
    Step("parts: Save it all the same", "Replaced token"),
    Step("parts: Check", "is not accepted"),
    Step("parts: Replace …", "Replaced token", MINE, types={"secret.token": GOOD}, shows="Replace token"),
    Step("parts: Save", "Changed place", types={"set.place": "there"}),
    Step("connection: Check", "cannot be tried", MINE, prepare=lambda scenario: scenario.install(nothing, PLAIN)),
    Step("parts: Fetch what is missing", "1 gap of mine", "/", prepare=sql(GIVEN_UP, "DELETE FROM gaps WHERE id <> 1")),
    Step("asked: …", "is queued", shows="Fetch it now"),
    Step("gap: Fetch it now", "is queued", "/gaps/1", prepare=work),
    Step("gap: Do without it", "that are waived", "/gaps/1", prepare=work),
    Step("gap: Ask for it again", "that are open again"),
    Step("gaps: Show", "timed out", "/gaps", {"stream": "items"}),
    Step("gaps: Recover", "1 gap of mine"),
    Step("gaps: Waive", "go without 1 gap", "/gaps"),
    Step("gaps: Recover the chosen", "1 gap of mine", "/gaps", {"gap": " "}),
    Step("gaps: Waive the chosen", "go without 1 gap", "/gaps", {"gap": " "}),
    Step("gaps: Reopen the chosen", "that are open again", "/gaps", {"gap": " "}),
    Step("runs: Show", "cancelled", "/runs", {"since": "01012020"}),
    Step("records: Search", "Found", "/records", {"words": "wombat"}),
    Step("records: More", "Found"),
    Step("records: Save everything that was found", "wombat"),
    Step("stream: Search in it", "Found", ITEMS, {"words": "wombat"}),
    Step("stream: Show", "somebody", ITEMS, {"author": "somebody"}),
    Step("stream: Save all of them", "wombat"),
    Step("stream: Older", "somebody"),
    Step("add: Check", "It works", ADD, {"name": "other", "secret.token": GOOD}, sign_up),
    Step("add: Add", "Added other."),
)


def actions() -> set[str]:
    """Template and label of each button; `…` stands for a value in it."""
    found = set[str]()
    for path in TEMPLATES.glob("*.html"):
        source = path.read_text()
        labels = [re.sub(r"{{.*?}}", "…", one) for one in re.findall(r"<button[^>]*>(.*?)</button>", source)]
        calls = environment().parse(source).find_all(nodes.Call)
        labels += [first_text(one.args[1]) for one in calls if getattr(one.node, "name", "") == "post"]
        found |= {f"{path.stem}: {label.strip()}" for label in labels}
    return found - {"parts: …"}  # the button of the macro `post`


def first_text(argument: nodes.Node) -> str:
    """The first constant of an argument."""
    return next(str(one.value) for one in (argument, *argument.find_all(nodes.Const)) if isinstance(one, nodes.Const))


def test_every_action_has_its_step() -> None:
    assert {one.button for one in STEPS} == actions()


@pytest.fixture
def running(own_environment: None, settings: Settings, db: Database) -> Iterator[Running]:
    """A console that a password lets in to."""
    with closing(Running(settings.model_copy(update={"web_password": SecretStr(PASSWORD)}), db)) as running:
        yield running


def test_every_action_is_done_by_keyboard(chromium: Browser, running: Running, scenario: Scenario) -> None:
    scenario.install(nothing, WITH_FORMS, try_token)
    page = chromium.new_context(base_url=running.url, java_script_enabled=False).new_page()

    for step in STEPS:
        step.prepare(scenario)
        if step.at is not None:
            page.goto(step.at)
        for field, text in step.types.items():
            tab_to(page, step, "name", field)
            page.keyboard.type(text)
        tab_to(page, step, "innerText", step.shows or step.button.partition(": ")[2])
        assert step.says in outcome(page, step), step.button


def outcome(page: Page, step: Step) -> str:
    """Press Enter: the text of the page that follows, or of the file that is saved."""
    if step.button.startswith(("records: Save", "stream: Save")):
        with page.expect_download() as saved:
            page.keyboard.press("Enter")
        return Path(saved.value.path()).read_text()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    return page.inner_text("main")


def tab_to(page: Page, step: Step, member: str, wanted: str) -> None:
    """Hold Tab until the element with this text or name has the focus."""
    for tabs in (page.evaluate(TABS, [member, wanted]), *[1] * MORE_TABS):
        for _ in range(tabs):
            page.keyboard.down("Tab")
        if page.evaluate(f"(document.activeElement.{member} ?? '').trim()") == wanted:
            page.keyboard.up("Tab")
            return
    raise AssertionError(f"{step.button}: no Tab reaches {wanted!r} on {page.url}: {page.inner_text('main')}")
