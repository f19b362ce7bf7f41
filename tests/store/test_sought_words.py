"""The words of a text, and the searches that find them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from pdpp_worker.store.engine import Database
from pdpp_worker.store.sought_words import LONGEST, first_words_of, query_of, words_of

_TEXTS = st.text(max_size=60)
_ODD = "aHIK\u017f\u0131\u0130\xdf=<>_-.1 \t\x1c\xa0\u0301\u0307\u030c\u0331\u0338\u3000\u3099\ufb01\u304b\u65e5\ud55c"
"""Letters with several forms, marks that join what stands before them, and what parts words."""


@pytest.mark.parametrize(
    ("held", "sought"),
    [
        ("Look at src/kangaroo/wombat.py", "kangaroo"),
        ("Look at src/kangaroo/wombat.py", "wombat.py"),
        ("call platypus.echidna(1)", "echidna"),
        ("https://emu.example/path/cassowary?bird=1", "cassowary"),
        ("Vec<Numbat> or dingo@koala.example", "Numbat"),
        ("Vec<Numbat> or dingo@koala.example", "koala"),
        ("<script>alert(1)</script>", "script"),
        ("snake_case_word", "snake_case_word"),
        ("snake_case_word", "case"),
        ("kebab-case", "kebab-case"),
        ("I don't", "don't"),
        ("version 2.10", "2.10"),
        ("\u6771\u4eac\u306b\u65e5\u672c\u8a9e\u3067", "\u65e5\u672c\u8a9e"),
        ("\u6771\u4eac", "\u4eac"),
        ("STRASSE", "Straße"),
        ("cafe\u0301", "café"),
        ("x" * 300, "x" * 300),
        ("some normal text here", '"normal text"'),
        ("green tea", "door OR tea"),
        ("green tea", "green -door"),
    ],
)
def test_what_stands_in_a_text_is_found(db: Database, held: str, sought: str) -> None:
    assert _matches(db, held, sought)


@pytest.mark.parametrize(
    ("held", "sought"),
    [
        ("green tea", "door"),
        ("green tea", "green -tea"),
        ("src/wombat.py", "-wombat.py"),
        ("\u65e5 \u672c", "\u65e5\u672c"),
        ("anything", ""),
        ("anything", "-"),
        ("anything", "...' & ('"),
        ("anything", "OR OR"),
    ],
)
def test_what_does_not_stand_in_it_is_not_found_and_no_search_is_an_error(db: Database, held: str, sought: str) -> None:
    assert not _matches(db, held, sought)


@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_text_is_found_by_each_of_its_pieces_between_spaces(before: str, piece: str, after: str) -> None:
    for one in piece.split():
        assert words_of(one) <= words_of(f"{before} {one} {after}")


@given(st.text(min_size=1))
def test_no_word_holds_a_space_a_quote_or_more_than_an_index_takes(content: str) -> None:
    for word in words_of(content):
        assert word.isalnum()
        assert len(word) <= LONGEST


def test_a_text_of_more_words_than_an_index_row_takes_is_found_by_its_first_ones() -> None:
    content = "".join(map(chr, range(0x4E00, 0x9FFF))) + "".join(map(chr, range(0x9FFF, 0x4E00, -1)))

    words = first_words_of(content, 100_000)

    assert "\u4e00\u4e01" in words.split()
    assert len(words.encode()) <= 100_000


@given(st.text() | st.text(_ODD))
def test_the_words_of_a_record_are_those_of_its_text(content: str) -> None:
    assert set(first_words_of(content, 1_000_000).split(" ")) - {""} == words_of(content)


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_word_that_is_too_long_is_found_by_its_beginning(letter: str) -> None:
    assert first_words_of(letter * 300, 1_000_000) == letter * LONGEST


def _matches(db: Database, held: str, sought: str) -> bool:
    values = {"words": sorted(words_of(held)), "query": query_of(sought)}
    with db.begin() as connection:
        return bool(
            connection.execute(
                text("SELECT array_to_tsvector(CAST(:words AS text[])) @@ CAST(:query AS tsquery)"), values
            ).scalar_one()
        )
