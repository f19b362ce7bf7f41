"""Links lead somewhere, names exist in the code, and sentences to look up are those that the code says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs._reference.pages import PAGES as GENERATED
from pdpp_worker.child_variables import TOLD_TO_COMMANDS
from pdpp_worker.setting_files import file_variables
from pdpp_worker.settings import Settings
from tests.support.pages import PAGES, ROOT, name, prose, quoted, text

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
SOURCES = [*ROOT.glob("pdpp_worker/**/*.py"), *ROOT.glob("connectors/**/*.py")]
LIFECYCLES = sorted(ROOT.glob("docs/*-lifecycle.md"))
OLD_WORDS = re.compile(
    r"\b(mends?|mended|go(es)? back|going back|rung|books|the law|roads?|[Ww]hoever|put off|leash|keeper|guardian)\b"
)
OTHER_VARIABLES = {*TOLD_TO_COMMANDS, *file_variables(Settings)}
"""Told to a connector's command; no settings."""


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def functions() -> set[str]:
    """The names of all functions of the package."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES)
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@cache
def sentences() -> set[str]:
    """Every text of the package, with `…` for what is put into it."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    dead = []
    for link in _LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if link.startswith(("http://", "https://")) or str(path.relative_to(ROOT)).removeprefix("docs/") in GENERATED:
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(link)

    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_of_the_repository_exist(page: Path) -> None:
    folders = ("pdpp_worker/", "connectors/", "tests/", "bench/", "requirements/")
    paths = [quote for quote in quoted(page) if quote.startswith(folders) and not re.search(r"[<*…# ]", quote)]

    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_are_settings(page: Path) -> None:
    known = {f"PDPP_{field.upper()}" for field in Settings.model_fields} | OTHER_VARIABLES
    named = set(re.findall(r"\bPDPP_[A-Z_]+[A-Z]\b", text(page)))

    assert {one for one in named - known if not re.fullmatch(r"PDPP_\w+_PACING_MIN_INTERVAL_MS", one)} == set()


@pytest.mark.parametrize("page", LIFECYCLES, ids=name)
def test_functions_of_a_lifecycle_exist(page: Path) -> None:
    assert {one for one in re.findall(r"\b(\w+)\(\)", text(page)) if one not in functions()} == set()


def test_each_of_the_five_trips_has_at_most_six_modules_and_each_package_its_room() -> None:
    page = text(ROOT / "docs/architecture.md")
    trips = [re.findall(r"^\d\. `(pdpp_worker/\S+)`", part, re.MULTILINE) for part in page.split("\n**A ")[1:6]]
    packages = {path.parent.name for path in ROOT.glob("pdpp_worker/*/__init__.py")}

    assert [len(trip) for trip in trips if not 1 < len(trip) <= 6 or len(set(trip)) < len(trip)] == []
    assert len(trips) == 5
    assert packages - {"demo"} <= set(re.findall(r"`pdpp_worker/(\w+)`", page))


def test_sentences_to_look_up_are_those_that_the_code_says() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", text(ROOT / "docs/troubleshooting.md"), re.MULTILINE)
    wanted = [row for row in rows if row.endswith((".", "…")) and "…" in row]

    assert len(wanted) >= 10
    assert [row for row in wanted if not any(_says(one, row) for one in sentences())] == []


def _says(sentence: str, row: str) -> bool:
    parts = [part.strip(" .") for part in row.split("…")]
    return all(part in sentence for part in parts if part) and bool(sentence.strip("… ."))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_use_the_words_of_the_glossary(page: Path) -> None:
    assert [found.group() for found in OLD_WORDS.finditer(re.sub(r"`[^`]*`", "", prose(page)))] == []
