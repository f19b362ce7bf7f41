"""Held records are found, read in their threads, and never let out of their frame."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from pdpp_worker.connector import Reason, ResourceScope, skip
from pdpp_worker.settings import Settings
from pdpp_worker.web import downloads
from pdpp_worker.web.access import Access
from pdpp_worker.web.entries import passage, shown_text
from tests.support.indexing import index_at_once
from tests.support.scripted import Scenario, manifest, record, state
from tests.web.conftest import Owner, inputs

TALKS = {
    "name": "talks",
    "reading": {"title": "topic", "time": "at"},
    "schema": {"properties": {"size": {"type": "integer"}}},
}
LINES = {
    "name": "lines",
    "parent_streams": ["talks"],
    "coverage_strategy": "parent_detail_accounting",
    "belongs_to": {"talks": "talk_id"},
    "reading": {"author": "who", "time": "at", "text": "said"},
}
MAILS = {"name": "mails", "reading": {"title": "subject", "thread": "thread_id", "time": "at"}}
BODIES = {
    "name": "bodies",
    "parent_streams": ["mails"],
    "coverage_strategy": "parent_detail_accounting",
    "belongs_to": {"mails": "mail_id"},
    "reading": {"text": "plain", "html": "html"},
}
HOSTILE = (
    '<h1>hello</h1><script>parent.alert(1)</script><img src="https://evil.example/x">'
    '<meta http-equiv=refresh content="0;url=https://evil.example">'
)


def take(scenario: Scenario) -> None:
    scenario.manifest = manifest(TALKS, LINES, MAILS, BODIES)
    scenario.send(
        record("t1", "talks", topic="Green doors", at="2024-01-01T00:00:00Z", size=7),
        record("l2", "lines", talk_id="t1", who="you", said="second words", at="2024-01-01T00:02:00Z"),
        record("l1", "lines", talk_id="t1", who="me", said="first <b>words</b>", at="2024-01-01T00:01:00Z"),
        record("m1", "mails", subject="Letter", thread_id="x", at="2024-02-01T00:00:00Z"),
        record("m2", "mails", subject="Answer", thread_id="x", at="2024-02-02T00:00:00Z"),
        record("b1", "bodies", mail_id="m1", plain="dear zanzibar"),
        record("b2", "bodies", mail_id="m2", html=HOSTILE),
        *(state(1, stream) for stream in ("talks", "mails")),
    )
    scenario.run()
    index_at_once(scenario.db)


def found(owner: Owner, **asked: Any) -> list[dict[str, Any]]:
    response = owner.browser.post("/records.json", data=asked)
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["hits"]
    return hits


def name_of(owner: Owner, stream: str, title: str) -> str:
    records = owner.json(f"/connections/1/streams/{stream}.json")["records"]
    return next(f"/connections/1/streams/{stream}/records/{one['name']}" for one in records if one["title"] == title)


def test_one_record_is_found_by_a_word_in_it_with_the_passage(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    [hit] = found(owner, words="ZANZIBAR")

    assert (hit["stream"], hit["passage"]) == ("bodies", ["dear ", "zanzibar", ""])
    page = owner.browser.post("/records", data={"words": "zanzibar"})
    assert "<mark>zanzibar</mark>" in page.text
    assert "zanzibar" not in str(page.url)


@pytest.mark.parametrize(
    ("stream", "asked", "keys"),
    [
        ("lines", {"author": "YO"}, ["l2"]),
        ("mails", {"since": "2024-02-02"}, ["m2"]),
        ("mails", {"until": "2024-02-01"}, ["m1"]),
        ("mails", {"since": "2024-02-01", "until": "2024-02-02"}, ["m2", "m1"]),
        ("mails", {"since": "2025-01-01"}, []),
    ],
)
def test_records_of_a_stream_are_filtered_on_the_page_and_when_saved(
    owner: Owner, scenario: Scenario, stream: str, asked: dict[str, str], keys: list[str]
) -> None:
    take(scenario)
    page = f"/connections/1/streams/{stream}"

    shown = owner.browser.post(f"{page}.json", data=asked).json()["records"]
    html = owner.browser.post(page, data=asked).text
    saved = owner.browser.post("/records/export", data={**asked, "connection": "1", "stream": stream}).text

    assert [json.loads(line)["key"] for line in saved.splitlines()] == keys
    assert len(shown) == len(keys) == html.count('<th scope="row"')


def test_a_filter_that_cannot_be_kept_to_is_refused_on_the_page_and_when_saved(
    owner: Owner, scenario: Scenario
) -> None:
    take(scenario)

    for asked in ({"author": "me"}, {"since": "someday"}):
        form = {**asked, "connection": "1", "stream": "mails"}
        assert owner.browser.post("/connections/1/streams/mails", data=asked).status_code == 400
        assert owner.browser.post("/records/export", data=form).status_code == 400


def test_a_passage_of_html_is_its_text_without_tags(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    [hit] = found(owner, words="hello")

    assert hit["passage"] == ["", "hello", ""]


def test_a_passage_begins_and_ends_with_whole_words() -> None:
    found = passage({"text": f"{'before ' * 20}needle{' after' * 20}"}, "needle")

    assert found is not None
    assert (found[0][:9], found[0][-8:], found[2][:7], found[2][-8:]) == (
        "… before ",
        " before ",
        " after ",
        " after …",
    )


def test_the_text_of_a_page_is_what_it_shows() -> None:
    assert shown_text('<p class="x">a &amp; b</p><style>p {}</style><!-- c --><td>d</td><td>e') == "a & b d e"
    assert shown_text("<script>" * 50_000 + "x") == ""


def test_search_keeps_to_a_connection_and_a_stream(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    assert len(found(owner, words="words")) == 2
    assert len(found(owner, words="words", connection="1", stream="lines")) == 2
    assert found(owner, words="words", connection="2") == found(owner, words="words", stream="talks") == []


def test_the_next_page_of_a_search_keeps_to_its_connection_and_stream(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    html = owner.browser.post("/records", data={"words": "words", "connection": "1", "stream": "lines"}).text

    assert inputs(html).count(("stream", "lines")) >= 2


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({"words": "words"}, ["l2", "l1"]),
        ({"stream": "mails", "connection": "1"}, ["m2", "m1"]),
        ({"words": "words", "stream": "mails"}, []),
        ({"connection": "9"}, []),
    ],
)
def test_what_is_found_is_saved_as_json_lines(
    owner: Owner, scenario: Scenario, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], keys: list[str]
) -> None:
    monkeypatch.setattr(downloads, "PAGE", 1)
    take(scenario)

    answer = owner.browser.post("/records/export", data=asked)

    assert [json.loads(line)["key"] for line in answer.text.splitlines()] == keys
    assert "attachment" in answer.headers["content-disposition"]


def test_records_of_one_time_and_key_are_all_found(
    owner: Owner, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAGE", 1)
    scenario.manifest = manifest(TALKS, MAILS)
    same = {"at": "2024-01-01T00:00:00Z"}
    scenario.send(record("x", "talks", topic="twin", **same), record("x", "mails", subject="twin", **same))
    scenario.run()
    index_at_once(scenario.db)

    answer = owner.browser.post("/records/export", data={"words": "twin"})

    assert [json.loads(line)["stream"] for line in answer.text.splitlines()] == ["mails", "talks"]


def test_nothing_is_saved_for_another_site(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    answer = owner.browser.post("/records/export", data={"words": "words"}, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403


def test_what_is_not_indexed_yet_is_counted(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    scenario.send(record("t2", "talks", topic="new"), state(2, "talks"))
    scenario.run()

    assert owner.json("/records.json")["waiting"] == 1
    assert "1 records were collected just now" in owner.get("/records")


def test_a_stream_is_a_table_of_its_schema_the_latest_first(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    page = owner.get("/connections/1/streams/talks")
    mails = owner.json("/connections/1/streams/mails.json")["records"]

    assert '<th scope="col">size</th>' in page
    assert "<td>7</td>" in page
    assert [one["title"] for one in mails] == ["Answer", "Letter"]


def test_a_conversation_is_read_in_its_order(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    page = owner.get(name_of(owner, "talks", "Green doors"))

    assert page.index("first &lt;b&gt;words&lt;/b&gt;") < page.index("second words")


def test_mail_is_read_in_its_thread_with_the_bodies(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    page = owner.get(name_of(owner, "mails", "Answer"))
    link = page.split("/threads/")[1].split('"')[0]

    thread = owner.get(f"/connections/1/streams/mails/threads/{link}")

    assert thread.index("dear zanzibar") < thread.index('<iframe sandbox=""')


def test_html_of_others_is_locked_in(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    page = owner.get(name_of(owner, "mails", "Answer"))

    source = page.split('<iframe sandbox="" src="')[1].split('"')[0]
    framed = owner.browser.get(source)

    assert framed.text == HOSTILE
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "<script>" not in page


@pytest.mark.parametrize("name", ["nothing", "x" * 3000, "..%2f..%2fetc"])
def test_a_name_that_is_none_of_this_consoles_is_not_found(owner: Owner, scenario: Scenario, name: str) -> None:
    take(scenario)

    assert owner.browser.get(f"/connections/1/streams/talks/records/{name}").status_code == 404


def test_a_text_has_one_name_and_that_of_an_earlier_version_still_leads_to_it(settings: Settings) -> None:
    access = Access(settings)
    earlier = access._fernet.encrypt(b"name:key").decode()

    assert access.name_of("key") == access.name_of("key")
    assert {access.text_of(name) for name in (access.name_of("key"), earlier)} == {"key"}


def test_a_key_is_in_no_url(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    links = owner.get("/connections/1/streams/mails").split('href="')[1:]

    assert not any("m1" in link.split('"')[0] for link in links if "/records/" in link)


def test_months_are_counted_by_the_records_own_times(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    [mails] = [one for one in owner.json("/connections/1/coverage.json") if one["stream"] == "mails"]

    first = mails["months"][0]
    assert (first["begin"][:7], first["state"], first["held"]) == ("2024-02", "held", 2)
    assert "2024-02: held, 2" in owner.get("/connections/1/coverage")


def test_pages_follow_each_other(owner: Owner, scenario: Scenario) -> None:
    scenario.manifest = manifest(TALKS)
    scenario.send(
        *(record(f"t{number:03}", "talks", topic=f"same {number}") for number in range(60)), state(1, "talks")
    )
    scenario.run()
    index_at_once(scenario.db)

    first = owner.json("/connections/1/streams/talks.json")
    second = owner.json(f"/connections/1/streams/talks.json?page={first['next']}")
    hits = owner.browser.post("/records.json", data={"words": "same"}).json()
    more = owner.browser.post("/records.json", data={"words": "same", "page": hits["next"]}).json()

    assert len({one["title"] for one in first["records"] + second["records"]}) == 60
    assert (len(hits["hits"]), len(more["hits"]), more["next"]) == (50, 10, None)


def test_a_search_from_another_site_is_refused(owner: Owner) -> None:
    response = owner.browser.post("/records", data={"words": "x"}, headers={"origin": "https://evil.example"})

    assert response.status_code == 403


def test_words_that_are_no_query_find_nothing_and_break_nothing(owner: Owner, scenario: Scenario) -> None:
    take(scenario)

    for words in ("'", '"', "-", "a:* & | !", "\\", "%", "x" * 1000):
        assert found(owner, words=words) == [], words


def test_nothing_of_it_is_shown_to_strangers(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    path = name_of(owner, "mails", "Answer")

    with httpx.Client(base_url=owner.url) as stranger:
        assert stranger.get(path).status_code == 303
        assert stranger.post("/records", data={"words": "x"}).status_code == 303


def test_the_filter_of_a_stream_finds_its_records_and_no_others(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    scenario.send(record("t2", "talks", topic="More words", at="2024-01-02T00:00:00Z"), state(2, "talks"))
    scenario.run()
    index_at_once(scenario.db)
    form = owner.get("/connections/1/streams/talks").split('<form method="post" action="/records"')[1]
    fields = {name: value for name, value in inputs(form.split("</form>")[0]) if name}

    hits = found(owner, **{**fields, "words": "words"})

    assert fields == {"connection": "1", "stream": "talks", "words": ""}
    assert [(one["stream"], one["title"]) for one in hits] == [("talks", "More words")]
    assert found(owner, **{**fields, "words": "letter"}) == []


def change(scenario: Scenario) -> None:
    """Let the talk have another topic, and lose its size."""
    scenario.send(record("t1", "talks", topic="Blue doors", at="2024-01-01T00:00:00Z"), state(2, "talks"))
    scenario.run()
    index_at_once(scenario.db)


def test_a_record_lists_its_earlier_versions_with_what_changed(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    change(scenario)
    path = name_of(owner, "talks", "Blue doors")

    [version] = owner.json(f"{path}.json")["versions"]

    assert (version["place"], version["run_id"], version["replaced_by_run_id"]) == (1, 1, 2)
    assert {one["member"]: (one["kind"], one["before"], one["after"]) for one in version["changes"]} == {
        "topic": ("changed", "Green doors", "Blue doors"),
        "size": ("removed", 7, None),
    }
    page = owner.get(path)
    assert "<del>Green doors</del> <ins>Blue doors</ins>" in page
    assert f'href="{path}/versions/1"' in page


def test_an_earlier_version_can_be_read_and_is_found_by_no_word(owner: Owner, scenario: Scenario) -> None:
    take(scenario)
    change(scenario)
    path = name_of(owner, "talks", "Blue doors")

    version = owner.json(f"{path}/versions/1.json")

    assert version["data"] == {"id": "t1", "topic": "Green doors", "at": "2024-01-01T00:00:00Z", "size": 7}
    assert "Green doors" in owner.get(f"{path}/versions/1")
    assert owner.browser.get(f"{path}/versions/2").status_code == 404
    assert found(owner, words="green") == []


def test_hostile_text_stays_text_in_a_version(owner: Owner, scenario: Scenario) -> None:
    scenario.manifest = manifest(TALKS)
    for text in (HOSTILE, "calm"):
        scenario.send(record("t1", "talks", topic=text), state(text, "talks"))
        scenario.run()
    index_at_once(scenario.db)
    path = name_of(owner, "talks", "calm")

    for page in (owner.get(path), owner.get(f"{path}/versions/1")):
        assert "&lt;script&gt;" in page
        assert "<script>parent" not in page


@pytest.mark.parametrize(
    ("stream", "resource", "title"),
    [("talks", "t1", "Green doors"), ("lines", "t1", "Green doors"), ("lines", "t9", "")],
)
def test_a_gap_has_the_title_of_what_is_held_of_its_item_beside_its_id(
    owner: Owner, scenario: Scenario, stream: str, resource: str, title: str
) -> None:
    take(scenario)
    scenario.send(skip(stream, Reason.TIMED_OUT, ResourceScope(resource_id=resource)), state(2, "talks"))
    scenario.run()

    listed, page, document = owner.get("/gaps"), owner.get("/gaps/1"), owner.json("/gaps.json")

    assert document["titles"] == ({"1": title} if title else {})
    assert resource in listed
    assert [title in listed, title in page] == [True, True]
