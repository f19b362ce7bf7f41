"""Pages say what is there, and their JSON is that of the commands."""

from __future__ import annotations

import json
import re
import socket
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import quote

import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.web.asked_texts import LONGEST, refusal
from pdpp_worker.web.pages.health import has_flower
from pdpp_worker.web.site import DOCUMENTS, FORMS, PAGES
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, manifest
from tests.web.conftest import Owner, collect

EVERY_PAGE = [
    "/",
    "/connections/add",
    "/connections/add?connector=scripted",
    "/connections/1",
    "/gaps",
    "/gaps/1",
    "/gaps?connection=1&status=all",
    "/runs",
    "/runs?status=succeeded&since=2026-01-01",
    "/runs/1",
    "/timeline?period=7d",
    "/records",
    "/rate",
    "/doctor",
    "/connections/1/coverage",
    "/connections/1/rate",
    "/connections/1/rate?period=30d",
]


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_page_has_one_heading_and_a_title_before_and_after_a_run(
    owner: Owner, scenario: Scenario, page: str
) -> None:
    collect(scenario)

    html = owner.get(page)

    assert html.count("<h1>") == 1
    assert "<title>" in html
    assert ("data-live" in html) is not page.startswith("/connections/add")  # a form stays as it was filled in


@pytest.mark.parametrize(
    "template", sorted(files("pdpp_worker.web").joinpath("templates").iterdir(), key=str), ids=lambda one: one.name
)
def test_no_two_landmarks_of_a_page_have_one_name(template: Traversable) -> None:
    source = template.read_text(encoding="utf-8")
    sections = dict(re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', source))

    labelled = [sections.get(one, one) for one in re.findall(r'<section aria-labelledby="([^"]+)"', source)]
    names = [*labelled, *re.findall(r'role="region" aria-label="([^"]+)"', source)]

    assert len(set(names)) == len(names)


def test_the_doctor_leads_to_flower_only_where_it_runs(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = settings.model_copy(update={"flower_port": listening.getsockname()[1]})
        assert has_flower(there)

    assert not has_flower(there)


def test_every_page_is_tried() -> None:
    plain = {page.partition("?")[0].replace("/1", "/{id:int}") for page in EVERY_PAGE}

    assert plain == {path for path in PAGES if "/streams/" not in path}


ASKED = (
    "connection",
    "stream",
    "reason",
    "status",
    "after",
    "before",
    "since",
    "until",
    "period",
    "page",
    "rate",
    "words",
)


@pytest.mark.parametrize("odd", ["\x00", "9" * LONGEST, "\u0663", "%", "\ufffd"])
def test_no_text_that_is_asked_for_makes_a_page_fail(owner: Owner, scenario: Scenario, odd: str) -> None:
    collect(scenario)
    asked = dict.fromkeys(ASKED, odd)
    owner.browser.timeout = 60
    paths = [path.replace("{id:int}", "1").replace("{place:int}", "1") for path in PAGES if path != "/doctor"]
    in_path = [f"/gaps/{quote(odd)}", f"/connections/1/streams/{quote(odd)}", f"/runs/{'9' * 5000}", f"/{quote(odd)}"]

    found = {path: owner.browser.get(path, params=asked).status_code for path in paths}
    found |= {path: owner.browser.get(path).status_code for path in in_path}
    found |= {
        f"POST {path}": owner.browser.post(path, data=asked).status_code for path in ("/records", "/records/export")
    }

    assert {path: status for path, status in found.items() if status not in (200, 400, 404)} == {}


def test_one_bound_holds_for_every_text_that_is_asked_for(owner: Owner, scenario: Scenario) -> None:
    long = "a" * (LONGEST + 1)

    asked = [
        owner.browser.get("/gaps", params={"stream": long}),
        owner.browser.post("/records", data={"words": long}),
        owner.browser.post("/records/export", data={"words": long}),
        owner.post("/connections/1/schedule", "/connections/1", every=long),
    ]

    assert [answer.status_code for answer in asked] == [400] * 4
    assert all("1,000 characters" in answer.text for answer in asked)
    assert refusal([("page", long), ("secret.token", long), ("set.place", long)]) is None


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("/status.json", ["status"]),
        ("/coverage.json", ["coverage"]),
        ("/rate.json", ["rate"]),
        ("/connections/add.json", ["connectors"]),
        ("/connections.json", ["connection", "list"]),
        ("/runs.json", ["runs", "list"]),
        ("/runs/1.json", ["runs", "show", "1"]),
        ("/gaps/1.json", ["why", "1"]),
    ],
)
def test_a_page_says_the_same_as_the_command(
    owner: Owner, cli: Cli, scenario: Scenario, page: str, command: list[str]
) -> None:
    collect(scenario)

    assert steady(owner.json(page)) == steady(cli.json(*command))


def test_the_doctor_says_the_same_as_the_command(owner: Owner, cli: Cli) -> None:
    told = {one["what"]: one["ok"] for one in json.loads(cli("doctor", "--json").stdout)}

    assert {one["what"]: one["ok"] for one in owner.json("/doctor.json")} == told


def test_the_gaps_of_a_page_are_those_of_the_command(owner: Owner, cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    assert steady(owner.json("/gaps.json")["gaps"]) == steady(cli.json_lines("gaps", "mine"))


def test_a_connection_is_that_of_the_command(owner: Owner, cli: Cli, scenario: Scenario) -> None:
    collect(scenario)

    document = owner.json("/connections/1.json")

    shown = cli.json("connection", "show", "mine")
    assert {key: document[key] for key in shown} == shown
    assert steady(document["coverage"]) == steady(cli.json("coverage"))


def steady(value: Any) -> Any:
    """A document without the estimates that move with the clock."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in ("done_at", "done_give_or_take_s")}
    return [steady(one) for one in value] if isinstance(value, list) else value


def test_home_answers_in_one_sentence_and_has_a_card_for_each_connection(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    home = owner.json("/home.json")

    [card] = home["cards"]
    assert home["answer"] in owner.get("/")
    assert (card["connection"], card["verdict"], card["held"], card["missing_known"]) == (
        "mine",
        "waiting_for_upgrade",
        2,
        2,
    )


LATER = {"name": "later", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}


@pytest.mark.parametrize(
    ("begun", "later", "left_s"), [(True, "later", 90.0), (False, "later", None), (False, LATER, 90.0)]
)
def test_a_run_at_work_tells_how_much_is_left_once_all_streams_that_depend_on_no_other_have_begun(
    owner: Owner, scenario: Scenario, *, begun: bool, later: Any, left_s: float | None
) -> None:
    scenario.install(lambda _start, _context: iter(()), manifest("items", later))
    run_id = scenario.queue()
    scenario.execute("UPDATE runs SET spent_s = 30")
    scenario.execute("DELETE FROM run_streams")
    counted = "INSERT INTO run_streams (run_id, stream, progress_count, progress_total) VALUES (:run, :stream, :n, :of)"
    scenario.execute(counted, run=run_id, stream="items", n=25, of=100)
    if not begun:
        scenario.execute(counted, run=run_id, stream="later", n=None, of=None)

    [card] = owner.json("/home.json")["cards"]

    assert card["left_s"] == left_s
    assert ("about 1 min 30 s of work" in owner.get("/")) == (left_s is not None)


def test_what_waits_for_the_owner_is_named_with_the_streams(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE gaps SET status = 'exhausted', next_attempt_at = NULL")

    home = owner.json("/home.json")

    [need] = home["needs"]
    assert need["streams"] == ["items"]
    assert "Given up after many tries" in need["sentence"]
    assert home["cards"][0]["due"] == "recover"


def test_gaps_are_grouped_by_reason_with_who_acts(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    groups = {group["reason"]: group for group in owner.json("/gaps.json")["groups"]}

    assert groups["rate_limited"]["who_mends"] == "time"
    assert groups["template_unknown"]["who_acts"] == "version above 1.0.0"


def test_a_gap_lists_every_try_and_tells_how_many_are_not_kept(owner: Owner, cli: Cli, scenario: Scenario) -> None:
    collect(scenario)
    scenario.execute("UPDATE gaps SET attempts = 3")
    scenario.execute("DELETE FROM gap_attempts")
    collect(scenario)

    document, page, said = owner.json("/gaps/1.json"), owner.get("/gaps/1"), cli.ok("why", "1")

    [one] = document["tries"]
    assert (one["number"], one["run_id"], one["reason"], one["asked_by"]) == (4, 2, "rate_limited", "manual")
    assert document["tries_not_kept"] == 3
    assert '<td class="n">4</td>' in page
    for words in ("3 earlier tries were not kept.", "rate limited"):
        assert words in page
        assert words in said
    assert re.search(r"^try 4\t.*run 2 by you: rate limited", said, re.MULTILINE)


def test_runs_are_filtered(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    def found(query: str) -> list[int]:
        return [run["id"] for run in owner.json(f"/runs.json?{query}")]

    assert found("status=partially_completed") == found("reason=rate_limited") == found("connection=1") == [1]
    assert found("status=failed") == found("connection=2") == found("until=2020-01-01") == found("before=1") == []


def test_a_run_of_which_nobody_knows_is_not_found(owner: Owner) -> None:
    for path in ("/runs/7", "/gaps/7", "/connections/7", "/runs/99999999999999999999", "/nowhere"):
        assert owner.browser.get(path).status_code == 404
        assert owner.browser.get(f"{path}.json").json()["error"] == "not_found"


def test_the_bar_of_a_stream_is_drawn_and_told(owner: Owner, scenario: Scenario) -> None:
    collect(scenario)

    html = owner.get("/connections/1")

    assert 'aria-label="items: held 2, rate_limited 1, template_unknown 1"' in html
    [bar] = re.findall(r'<svg class="bar".*?</svg>', html, re.DOTALL)
    assert bar.count("<rect") == 3


def test_the_api_is_described_and_versioned(owner: Owner) -> None:
    described = owner.json("/openapi.json")

    assert len(described["paths"]) == len(PAGES) + len(DOCUMENTS)
    assert described["info"]["version"] == owner.browser.get("/status.json").headers["pdpp-api-version"]


def test_a_form_shares_its_path_only_with_the_page_that_shows_it() -> None:
    assert set(FORMS) & set(PAGES) == {"/connections/add", "/connections/{id:int}/rate"}
