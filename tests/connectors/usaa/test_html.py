"""Pages are read whole, or not at all."""

from __future__ import annotations

import pytest

from connectors.usaa.site import html
from pdpp_worker.connector import Room


def test_a_page_shows_its_text_without_scripts_and_styles() -> None:
    page = html.parse("<p>Two <b>words</b></p><script>x()</script><style>p{}</style><noscript>n</noscript>")

    assert html.text_of(page) == "Two words"


@pytest.mark.parametrize("levels", [300, 3_000, 200_000])
def test_a_page_of_which_a_part_would_be_lost_is_refused(levels: int) -> None:
    with pytest.raises(html.UnreadablePageError):
        html.parse("<div>" * levels + "<a href='/my/checking'>Checking</a>")


def test_a_form_sends_what_is_chosen_on_it() -> None:
    page = html.parse(
        "<form action=/export method=POST><input name=from value=1><input type=submit name=go>"
        "<input type=radio name=kind value=all><input type=radio name=kind value=range checked>"
        "<select name=type><option value=csv>CSV<option value=qif selected>QIF</select></form>"
    )

    form = html.form_of(next(html.every(page, "form")))

    assert (form.action, form.method) == ("/export", "post")
    assert form.values == {"from": "1", "kind": "range", "type": "qif"}
    assert form.choices == {"kind": ["all", "range"], "type": ["csv", "qif"]}


def test_a_page_that_takes_memory_without_end_is_refused_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room("connectors.usaa.site.page_reader:items_of", memory_bytes=100_000_000)
    monkeypatch.setattr(html, "_READER", room)

    with pytest.raises(html.UnreadablePageError, match=r"memory|sudden end"):
        html.parse("<p>" * 1_000_000)

    assert html.text_of(html.parse("<p>next</p>")) == "next"
