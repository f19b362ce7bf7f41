"""The house rules, read from the code itself: who may know whom, and how long a thing may be."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pdpp_worker.errors import PdppError

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("pdpp_worker/**/*.py"), *ROOT.glob("connectors/**/*.py"), ROOT / "beat_schedule.py"]
)
TOOLS = sorted(
    path.relative_to(ROOT) for folder in ("bench", "docs", "requirements") for path in ROOT.glob(f"{folder}/**/*.py")
)
TESTS = sorted(path.relative_to(ROOT) for path in ROOT.glob("tests/**/*.py"))
GENERATED = Path("pdpp_worker/store/migrations/versions")

BROKER = ("celery", "kombu", "billiard", "pdpp_worker.tasks", "pdpp_worker.celery")
SQL = ("sqlalchemy", "psycopg", "alembic")
HTTP = ("httpx", "requests", "urllib.request", "http.client")

PEOPLE = ("pdpp_worker.cli", "pdpp_worker.owner", "pdpp_worker.web")

# Room to what it must never know.
FORBIDDEN = {
    "pdpp_worker/protocol": (*BROKER, *SQL, *HTTP, "redis", "connectors", "pdpp_worker.store", "pdpp_worker.runtime"),
    "pdpp_worker/pacing": (*BROKER, *SQL, "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/runtime": (*BROKER, *PEOPLE, "connectors"),
    "pdpp_worker/recovery": (*BROKER, *PEOPLE, "connectors"),
    "pdpp_worker/dispatch": (*BROKER, *HTTP, "pdpp_worker.cli", "redis", "connectors"),
    "pdpp_worker/connector": (
        *BROKER,
        *PEOPLE,
        *SQL,
        "redis",
        "connectors",
        "pdpp_worker.store",
        "pdpp_worker.runtime",
    ),
    "pdpp_worker/store": (*BROKER, *HTTP, "redis", "connectors", "pdpp_worker.runtime", "pdpp_worker.pacing"),
    "pdpp_worker/coverage": (*BROKER, *HTTP, *PEOPLE, "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/owner": (*BROKER, *HTTP, "connectors", "pdpp_worker.cli", "pdpp_worker.coverage"),
    "pdpp_worker/cli": (*HTTP, "connectors", "pdpp_worker.dispatch", "pdpp_worker.recovery"),
    "pdpp_worker/local": (*BROKER, *PEOPLE, "connectors", "pdpp_worker.store", "pdpp_worker.runtime"),
    "pdpp_worker/tasks": (
        *SQL,
        "connectors",
        "pdpp_worker.cli",
        "pdpp_worker.store.connections",
        "pdpp_worker.store.edits",
    ),
    "pdpp_worker/browser": (*BROKER, *PEOPLE, *SQL, "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/command": (*BROKER, *PEOPLE, *SQL, *HTTP, "redis", "pdpp_worker.store", "pdpp_worker.runtime"),
    "pdpp_worker/added": (*BROKER, *PEOPLE, *SQL, *HTTP, "redis", "pdpp_worker.store", "pdpp_worker.runtime"),
    "pdpp_worker/confined": (*BROKER, *PEOPLE, *SQL, *HTTP, "redis", "connectors", "pdpp_worker.store"),
    "pdpp_worker/conformance": (*BROKER, *PEOPLE, *SQL, "redis", "pdpp_worker.recovery"),
    "pdpp_worker/doctor": (*HTTP, "connectors", "pdpp_worker.cli", "pdpp_worker.web", "pdpp_worker.runtime"),
    "pdpp_worker/demo": (*BROKER, *SQL[1:], "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/web": (
        *BROKER[:3],
        *HTTP,
        *SQL[1:],
        "redis",
        "connectors",
        "pdpp_worker.cli",
        "pdpp_worker.dispatch",
        "pdpp_worker.recovery",
        "pdpp_worker.runtime",
    ),
    "pdpp_worker/search": (*BROKER, *HTTP, *PEOPLE, "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/stored_files": (
        *BROKER,
        *HTTP,
        *PEOPLE,
        *SQL,
        "redis",
        "connectors",
        "pdpp_worker.store",
        "pdpp_worker.runtime",
    ),
    "pdpp_worker/notices": (*BROKER, *HTTP, *PEOPLE, "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/tabular": (*BROKER, *SQL, *HTTP, *PEOPLE, "redis", "connectors", "pdpp_worker.runtime"),
    "pdpp_worker/singer": (*BROKER, *PEOPLE, *SQL, *HTTP, "redis", "pdpp_worker.store", "pdpp_worker.runtime"),
    "connectors": (*BROKER, *SQL, "redis"),
}

# Folders whose files are named after what they belong to: a command, a page, or a tool beside the fleet.
NAMED_AFTER_A_PROGRAM = (
    "pdpp_worker/cli/commands",
    "pdpp_worker/conformance",
    "pdpp_worker/demo",
    "pdpp_worker/singer",
    "pdpp_worker/web/pages",
)
ALSO_SAME = {"__init__", "__main__"}

# Decisions: from values to values, so that a table of cases can test them.
PURE = (
    "pdpp_worker/dispatch/due_times.py",
    "pdpp_worker/runtime/next_step.py",
    "pdpp_worker/runtime/rows.py",
    "pdpp_worker/runtime/time_limits.py",
    "pdpp_worker/store/retry_hint.py",
    "pdpp_worker/store/run_status.py",
)

LONGEST_FUNCTION = 30
LONGEST_OF_NINE_IN_TEN = 13
LONGEST_TASK = 15
LONGEST_FILE = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parsed(path: Path) -> ast.Module:
    """A source file as a tree."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """The full names of all that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a name is one of these modules or in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def room(folder: str) -> list[Path]:
    """The files of a room."""
    return [path for path in SOURCES if path.is_relative_to(folder)]


def functions(path: Path) -> Iterator[Function]:
    """All functions of a file, methods and inner ones included."""
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """The lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_task(function: Function) -> bool:
    """Whether a function is registered as a Celery task."""
    calls = [one.func if isinstance(one, ast.Call) else one for one in function.decorator_list]
    return any(isinstance(one, ast.Attribute) and one.attr == "task" for one in calls)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_room_does_not_know_what_it_must_not(folder: str) -> None:
    assert room(folder)

    known = {f"{path}: {name}" for path in room(folder) for name in imports(path) if within(name, FORBIDDEN[folder])}

    assert known == set()


def test_every_package_has_its_rule() -> None:
    packages = {str(path.parent) for path in room("pdpp_worker") if path.name == "__init__.py" and len(path.parts) == 3}

    assert packages <= FORBIDDEN.keys()


@pytest.mark.parametrize("folder", ["pdpp_worker/cli", "pdpp_worker/web"])
def test_commands_and_pages_know_views_and_the_owners_service_only(folder: str) -> None:
    known = {
        f"{path}: {name}"
        for path in room(folder)
        for name in imports(path)
        if within(name, ("pdpp_worker.store",)) and not within(name, ("pdpp_worker.store.views",))
    }

    assert known == set()


def test_views_only_read() -> None:
    writing = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|FOR UPDATE)\b")
    writers = {str(path) for path in room("pdpp_worker/store/views") if writing.search((ROOT / path).read_text())}

    assert writers == set()


def test_no_two_files_of_the_core_have_one_name() -> None:
    core = [path.stem for path in room("pdpp_worker") if not any(map(path.is_relative_to, NAMED_AFTER_A_PROGRAM))]
    numbered = [name for name in core if not name[0].isdigit()]

    assert {name for name in numbered if numbered.count(name) > 1} <= ALSO_SAME


@pytest.mark.parametrize("file", PURE)
def test_a_decision_reaches_no_server(file: str) -> None:
    servers = (*BROKER, *SQL, *HTTP, "redis", "pdpp_worker.store.engine", "pdpp_worker.settings")

    assert {name for name in imports(Path(file)) if within(name, servers)} == set()


def test_a_connector_knows_only_the_authors_interface_and_itself() -> None:
    """Its practice account may use the conformance kit, and its part in the demonstration the demo's types."""
    practice = ("pdpp_worker.conformance", "pdpp_worker.demo.account")
    ours = {
        f"{path}: {name}"
        for path in room("connectors")
        for name in imports(path)
        if within(name, ("pdpp_worker", "connectors"))
        and not within(name, ("pdpp_worker.connector", f"connectors.{path.parts[1]}"))
        and not (is_practice(path) and within(name, practice))
    }

    assert ours == set()


def is_practice(path: Path) -> bool:
    """Whether a connector's file is about its practice account."""
    return path.name == "conformance.py" or "practice" in path.parts


CONNECTORS = sorted(path.parent.name for path in (ROOT / "connectors").glob("*/manifest.json"))


def test_the_core_names_no_connector() -> None:
    """One is found by its manifest, so that another takes no change here."""
    names = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(CONNECTORS)})(?![A-Za-z])", re.IGNORECASE)
    naming = {
        f"{path}: {found[0]}"
        for path in room("pdpp_worker")
        if not path.is_relative_to(GENERATED)
        for found in names.finditer((ROOT / path).read_text(encoding="utf-8"))
    }

    assert CONNECTORS
    assert naming == set()


def test_a_connector_does_not_wait_by_itself() -> None:
    sleeping = {
        str(path) for path in room("connectors") if not is_practice(path) and "time.sleep" in ast.unparse(parsed(path))
    }

    assert sleeping == set()


def test_one_file_reads_the_environment() -> None:
    readers = {
        str(path)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and ast.unparse(node.value) == "os"
    } | {str(path) for path in SOURCES if imports(path) & {"os.environ", "os.environb", "os.getenv"}}

    # What a new connector of any language begins as is a program of its own, told everything by variables.
    assert readers == {"pdpp_worker/settings.py", "pdpp_worker/conformance/skeleton/command/connector.py"}


def test_sql_is_written_in_the_store_only() -> None:
    """Elsewhere the database is a connection to hand on and its errors; the embedded server asks whether it is up."""
    harmless = ("sqlalchemy.exc", "sqlalchemy.Connection")
    writers = {
        f"{path}: {name}"
        for path in SOURCES
        if not path.is_relative_to("pdpp_worker/store") and path.parent.name != "embedded"
        for name in imports(path)
        if within(name, SQL) and not within(name, harmless)
    }

    assert writers == set()


CLIENT_MAKERS = (
    "ProviderClient",
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx.get",
    "httpx.post",
    "httpx.request",
    "httpx.stream",
)


def test_one_file_makes_http_clients() -> None:
    """And the conformance kit, whose clients know no pacing: they only ever meet a practice provider."""
    makers = {
        str(path)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLIENT_MAKERS and not is_practice(path)
    }

    assert makers == {"pdpp_worker/runtime/slice_context.py", "pdpp_worker/conformance/wire.py"}


def test_tasks_are_doors() -> None:
    tasks = {
        function.name: body_lines(function)
        for path in room("pdpp_worker")
        for function in functions(path)
        if is_task(function)
    }

    assert tasks
    assert {name: lines for name, lines in tasks.items() if lines > LONGEST_TASK} == {}


def test_functions_are_short() -> None:
    long = {
        f"{path}:{function.lineno} {function.name}": body_lines(function)
        for path in SOURCES
        if not path.is_relative_to(GENERATED)
        for function in functions(path)
        if body_lines(function) > LONGEST_FUNCTION
    }

    assert long == {}


def test_files_are_short() -> None:
    lengths = {
        str(path): len((ROOT / path).read_text().splitlines()) for path in SOURCES if not path.is_relative_to(GENERATED)
    }

    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_most_functions_are_very_short() -> None:
    """Nine in ten."""
    lengths = sorted(
        body_lines(function) for path in SOURCES if not path.is_relative_to(GENERATED) for function in functions(path)
    )

    assert lengths[len(lengths) * 9 // 10] <= LONGEST_OF_NINE_IN_TEN


def docstrings(path: Path) -> Iterator[str]:
    """All docstrings of a file, those of constants and fields included."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield inspect.cleandoc(node.value.value)


def test_no_sentence_of_a_docstring_begins_with_a_riddle() -> None:
    """A sentence begins with the noun that a thing is, or with the verb for what it does."""
    riddle = re.compile(r"(?:\A|[.!?:]\s+|\n\s*\n\s*)((?:What|Whoever|Those that)\b.{0,60})")
    riddles = {
        f"{path}: {found[1]}"
        for path in [*SOURCES, *TOOLS, *TESTS]
        for text in docstrings(path)
        for found in riddle.finditer(text)
    }

    assert riddles == set()


def test_a_docstring_of_a_definition_begins_with_a_verb_or_a_noun() -> None:
    """A reader who lists a file's definitions sees each first line alone."""
    needs_more = re.compile(r"(?:It|There|They|Those|Nobody|Of|To|As|For|Not|No|From|By|With)\b")
    found = {
        f"{path}:{node.lineno}: {text.splitlines()[0]}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if (text := ast.get_docstring(node)) and needs_more.match(text)
    }

    assert found == set()


def test_every_file_says_what_it_is() -> None:
    silent = {str(path) for path in SOURCES if parsed(path).body and ast.get_docstring(parsed(path)) is None}

    assert {path for path in silent if not path.startswith(str(GENERATED))} == set()


def errors(kind: type[PdppError] = PdppError) -> Iterator[type[PdppError]]:
    """The error tree."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == PdppError.__module__:
            yield from errors(child)


def test_every_error_has_a_name_of_its_own() -> None:
    slugs = [kind.slug for kind in errors()]

    assert len(set(slugs)) == len(slugs)
    assert all("slug" in vars(kind) and kind.__doc__ for kind in errors())


@pytest.mark.process
def test_a_command_starts_without_the_clients_of_servers_and_providers() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, pdpp_worker.cli; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert not {"alembic", "celery", "httpx", "playwright", "prometheus_client", "redis"} & set(loaded.stdout.split())


# Table to the rooms that write it. A migration brings rows along once.
WRITERS = {
    "gaps": ("pdpp_worker/store/gaps/",),
    "runs": ("pdpp_worker/store/run", "pdpp_worker/store/retention.py"),
}


def tables_written(source: str) -> set[str]:
    """The tables that a source text writes, in SQL or by SQLAlchemy's functions."""
    in_sql = re.findall(r"\b(?:UPDATE|INSERT\s+INTO|DELETE\s+FROM)\s+(?:ONLY\s+)?(\w+)", source, re.IGNORECASE)
    in_python = re.findall(r"\b(?:update|insert|delete)\(\s*(?:tables\.)?(\w+)\s*\)", source)
    return {*in_sql, *in_python}


@pytest.mark.parametrize("table", WRITERS)
def test_a_table_is_written_in_one_room(table: str) -> None:
    writers = {
        path.as_posix()
        for path in SOURCES
        if not path.is_relative_to(GENERATED) and table in tables_written((ROOT / path).read_text(encoding="utf-8"))
    }

    assert writers
    assert {path for path in writers if not path.startswith(WRITERS[table])} == set()


@pytest.mark.parametrize(
    "statement",
    [
        'text("UPDATE gaps SET status = 1")',
        'text(f"""\n    WITH a AS (SELECT 1)\n    update gaps SET {_HOW}""")',
        'text("INSERT INTO gaps AS held (id) VALUES (1)")',
        'text("DELETE  FROM gaps WHERE true")',
        "connection.execute(update(gaps).values(status=1))",
        "delete(tables.gaps)",
    ],
)
def test_the_rule_on_writers_sees_a_planted_statement(statement: str) -> None:
    assert "gaps" in tables_written(f"x = {statement}\n")


def test_no_connection_waits_for_the_lock_of_another_ones_property() -> None:
    """`functools.cached_property` has one lock for all objects of a class before Python 3.12."""
    users = {str(path) for path in SOURCES if "functools.cached_property" in imports(path)}

    assert {
        path for path in users if path.startswith(("connectors/", "pdpp_worker/runtime", "pdpp_worker/connector"))
    } == set()


def test_an_active_run_is_spelled_once() -> None:
    spelled = {
        path.as_posix()
        for path in SOURCES
        if not path.is_relative_to(GENERATED)
        and re.search(r"'queued',\s*'running'", (ROOT / path).read_text(encoding="utf-8"))
    }

    assert spelled == {"pdpp_worker/store/run_states.py"}


OLD_WORDS = re.compile(
    r"\b(keep_books|books|StreamEnd|Leftover|orphaned|unsettled|unasked|let_go|taken_forms|put_off|held_until|"
    r"Intake|Played|is_news|Ring|spine|leash|leashed|levers|shelf|ladder|climb|rungs|Census|Mender|mends?|"
    r"rung|goes back for)\b"
)
"""Words for which the glossary has a standard term."""


def test_the_source_keeps_to_the_words_of_the_glossary() -> None:
    found = {
        f"{path}:{number}: {word[0]}"
        for path in SOURCES
        if not path.is_relative_to(GENERATED)
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if (word := OLD_WORDS.search(line))
    }

    assert found == set()
