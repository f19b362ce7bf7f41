"""Each threat names a test that is there, and has an edit with which that test fails; `make defences` tries them."""

from __future__ import annotations

from tests.docs.defences import ROOT, defences, named_tests, rows


def test_each_row_names_a_test_that_is_there() -> None:
    assert rows()
    for row in rows():
        named = named_tests(row.rpartition(" | ")[2])
        assert named, row
        assert [name for name, file in named if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_no_two_tests_of_the_page_share_a_name_by_which_the_table_knows_its_edit() -> None:
    files = [(name, file) for row in rows() for name, file in named_tests(row)]

    assert len({name for name, _ in files}) == len(set(files))


def test_each_row_has_an_edit_that_takes_its_defence_out_of_the_code_as_it_is() -> None:
    held = defences()

    assert [one.test for one in held] == [name for row in rows() for name, _ in named_tests(row)]
    for one in held:
        assert (ROOT / one.file).read_text(encoding="utf-8").count(one.old) >= 1, one.test
