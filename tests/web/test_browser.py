"""The console in Chromium: live, on a narrow screen, by keyboard, accessible."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pdpp_worker.connector import Reason, ResourceScope, skip
from pdpp_worker.owner import gap_changes, gap_filters
from tests.support.screenshots import SHOTS, SIZE, shoot
from tests.support.scripted import Scenario, record, state
from tests.web.conftest import Running, collect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = (
    "/",
    "/connections/1",
    "/connections/add?connector=scripted",
    "/gaps",
    "/gaps/1",
    "/runs",
    "/runs/1",
    "/timeline?period=1h",
    "/rate",
    "/connections/1/rate",
    "/connections/1/coverage",
    "/doctor",
    "/records",
    "/connections/1/streams/items",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with playwright.sync_playwright() as started:
        # As root, Chromium has no sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        with closing(started.chromium.launch(executable_path=CHROMIUM, args=arguments)) as browser:
            yield browser


def opened(chromium: Browser, running: Running, **options: Any) -> Page:
    """A page of a browser that is in."""
    page = chromium.new_context(base_url=running.url, **options).new_page()
    page.goto(running.server.link())
    return page


def every_page(running: Running, scenario: Scenario) -> list[str]:
    """The path of each page, when there is something to show on it."""
    collect(scenario)
    scenario.send(record("a", title="another one"), state({"at": 2}))
    scenario.run()
    a_record = f"/connections/1/streams/items/records/{running.server.access.name_of('a')}"
    return [*PAGES, a_record, f"{a_record}/versions/1"]


def test_a_page_follows_what_is_committed(chromium: Browser, running: Running, scenario: Scenario) -> None:
    page = opened(chromium, running)
    assert page.locator("dd").first.inner_text() == "0"

    with page.expect_response(lambda answer: answer.url.endswith("/") and answer.request.resource_type == "fetch"):
        collect(scenario)

    playwright.expect(page.locator("dd").first).to_have_text("2")


OUT_OF_REACH = """
    [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, .scroll")]
        .filter((one) => one.tabIndex < 0 || one.disabled).map((one) => one.outerHTML)
"""
"""Things to use that no Tab reaches."""
FOCUSED = "document.activeElement.getAttribute('href') ?? document.activeElement.id"
SELECTED = "getSelection().toString()"


def test_a_live_page_leaves_what_somebody_is_at(chromium: Browser, running: Running, scenario: Scenario) -> None:
    scenario.send(*(skip("items", Reason.RATE_LIMITED, ResourceScope(resource_id=key)) for key in "abc"), state(1))
    scenario.run()
    page = opened(chromium, running)
    page.goto("/gaps")
    rows = page.locator("#live-list tbody tr")
    page.locator("input[name=gap]").nth(2).check()
    page.evaluate("getSelection().selectAllChildren(document.querySelectorAll('#live-list td .code')[1])")
    chosen = page.evaluate(SELECTED)
    page.locator("a[href='/gaps/2']").focus()

    waive(scenario, 1)
    playwright.expect(rows).to_have_count(2)
    left = page.evaluate(FOCUSED), page.evaluate(SELECTED), page.locator("input[name=gap]").nth(1).is_checked()
    waive(scenario, 2)
    playwright.expect(rows).to_have_count(1)

    assert left == ("/gaps/2", chosen, True)
    assert page.evaluate(FOCUSED) == "live-list"


def waive(scenario: Scenario, gap: int) -> None:
    """Do without a gap, as a command does."""
    gap_changes.waive(scenario.db, "mine", gap_filters.gap_filter(None, None, [gap]))


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_every_page_fits_is_in_reach_of_tab_and_loads_nothing_from_elsewhere(
    chromium: Browser, running: Running, scenario: Scenario, width: int, scheme: str
) -> None:
    pages = every_page(running, scenario)
    scenario.execute("UPDATE connections SET name = :name", name="a-long-name-" * 8)
    page = opened(chromium, running, viewport={"width": width, "height": 700}, color_scheme=scheme)
    asked: list[str] = []
    complaints: list[str] = []
    wide: dict[str, int] = {}
    out_of_reach: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))

    for path in pages:
        page.goto(path)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
        out_of_reach += page.evaluate(OUT_OF_REACH)

    assert {path: found for path, found in wide.items() if found > width} == {}
    assert out_of_reach == []
    assert all(url.startswith(running.url) for url in asked)
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(chromium: Browser, running: Running, scenario: Scenario, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    pages = every_page(running, scenario)
    page = opened(chromium, running, color_scheme=scheme)
    broken: dict[str, Any] = {}

    for path in pages:
        page.goto(path)
        found = axe.run(page).response["violations"]
        broken |= {f"{path}: {one['id']}": [node["html"] for node in one["nodes"]] for one in found}

    assert broken == {}


def test_every_picture_of_the_documentation_can_be_taken(
    chromium: Browser, running: Running, scenario: Scenario
) -> None:
    collect(scenario)
    page = opened(chromium, running, viewport=SIZE)

    for name, path in SHOTS.items():
        assert shoot(page, name, "first").startswith(b"RIFF")
        assert page.url == f"{running.url}{path}"
        assert page.locator("h1").is_visible()
