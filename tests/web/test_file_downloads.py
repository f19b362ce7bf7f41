"""The files that a record names are downloaded from its page in the clear, whatever form they have on the disk."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import connection_files
from tests.support.indexing import index_at_once
from tests.support.scripted import Scenario, record, state
from tests.web.conftest import Owner

CONTENT = os.urandom(1_500_000)


def urls(owner: Owner, scenario: Scenario, **data: Any) -> dict[str, str]:
    """The links of the page of a record with this data, title to URL."""
    scenario.send(record("a", **data), state(1))
    scenario.run()
    index_at_once(scenario.db)
    [found] = owner.json("/connections/1/streams/items.json")["records"]
    page = owner.get(f"/connections/1/streams/items/records/{found['name']}")
    return {title: url for url, title in re.findall(r'<a href="(/connections/1/files/[^"]+)">([^<]*)</a>', page)}


@pytest.mark.parametrize("encrypts", [True, False])
def test_a_file_comes_in_the_clear_under_its_name_and_is_nothing_that_a_browser_opens(
    owner: Owner, scenario: Scenario, settings: Settings, encrypts: bool
) -> None:
    form = settings.model_copy(update={"encrypt_files": encrypts})
    connection_files.store_at(form, connection_files.files_dir(form, 1, "mine")).write("ab/abc", CONTENT)
    found = urls(owner, scenario, filename="../Plan für Ada.html", path="ab/abc", within=[{"path": "ab/abc"}])

    answer = owner.browser.get(found["Plan für Ada.html"])

    assert answer.content == CONTENT
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Plan%20f%C3%BCr%20Ada.html"
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (
        "application/octet-stream",
        "nosniff",
    )
    assert list(found) == ["Plan für Ada.html", "abc"]


def test_a_path_that_leads_elsewhere_or_to_nothing_is_no_link(owner: Owner, scenario: Scenario) -> None:
    paths = ["../../secret.key", "/etc/passwd", "nothing", "", "a\nb", "x" * 5_000]

    assert urls(owner, scenario, path="/etc/hostname", more=[{"path": path} for path in paths]) == {}


def test_a_damaged_file_and_a_name_of_another_console_are_refused_in_a_sentence(
    owner: Owner, scenario: Scenario, settings: Settings
) -> None:
    form = settings.model_copy(update={"encrypt_files": True})
    root = connection_files.files_dir(form, 1, "mine")
    connection_files.store_at(form, root).write("file", b"content")
    [url] = urls(owner, scenario, path="file").values()
    (root / "file").write_bytes((root / "file").read_bytes()[:-1])

    damaged, foreign = owner.browser.get(url), owner.browser.get("/connections/1/files/abc")

    assert (damaged.status_code, foreign.status_code) == (404, 404)
    assert "cannot be opened: it is damaged" in damaged.text
    assert foreign.text == "There is no such file."
