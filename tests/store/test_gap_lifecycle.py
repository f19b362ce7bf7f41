"""docs/gap-lifecycle.md names the functions of the gap room that write gaps: each of them, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "pdpp_worker/store/gaps"
WRITES = re.compile(r"\b(?:UPDATE|INSERT INTO) gaps\b")


def names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def writers(path: Path) -> set[str]:
    """The public functions and methods of a file that use a statement which writes gaps, by themselves or through
    private ones.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    private: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and (
            WRITES.search(ast.unparse(node)) or names_in(node) & private
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            private |= {one.id for one in targets if isinstance(one, ast.Name)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for _ in functions:  # until no further private function is found
        private |= {one.name for one in functions if one.name.startswith("_") and uses(one, private)}
    return {one.name for one in functions if not one.name.startswith("_") and uses(one, private)}


def uses(function: ast.FunctionDef, names: set[str]) -> bool:
    called = {one.attr for one in ast.walk(function) if isinstance(one, ast.Attribute)}
    return bool((names_in(function) | called) & names)


def test_every_function_that_writes_gaps_is_in_the_table_of_transitions() -> None:
    text = (ROOT / "docs/gap-lifecycle.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \| `(\w+\.py)` \|", text, re.MULTILINE))

    assert named == {(name, path.name) for path in ROOM.glob("*.py") for name in writers(path)}


def test_every_edge_of_the_diagram_names_a_function_of_the_table() -> None:
    text = (ROOT / "docs/gap-lifecycle.md").read_text(encoding="utf-8")
    named = {name for name, _ in re.findall(r"^\| `(\w+)` \| `(\w+\.py)` \|", text, re.MULTILINE)}
    edges = re.findall(r"^    \S+ --> \w+: (.+)$", text, re.MULTILINE)

    drawn = {one.rpartition(".")[2] for edge in edges for one in edge.split(", ")}

    assert edges
    assert drawn <= named
