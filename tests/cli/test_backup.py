"""A backup brings everything back, and nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdpp_worker.owner.record_tables import keep_in_step
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings, get_settings
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, record, state

pytestmark = pytest.mark.process  # PostgreSQL's tools are processes


@pytest.fixture
def kept(scenario: Scenario, settings: Settings) -> str:
    """Two records with a view of them, a file and a key are there; a credential that only this key opens."""
    scenario.send(record("a"), record("b"), state(1))
    scenario.run()
    keep_in_step(scenario.db)
    (settings.data_dir / "files" / "1").mkdir(parents=True)
    (settings.data_dir / "files" / "1" / "letter.pdf").write_text("a letter")
    return Vault(settings).seal("hush")


def records(scenario: Scenario) -> list[str]:
    """The keys of the records that are held; leaves no connection behind, as a fleet that was stopped."""
    found = [row["key"] for row in scenario.rows("SELECT key FROM records ORDER BY key")]
    scenario.db.close()
    return found


def lose(scenario: Scenario) -> None:
    """Lose the records."""
    scenario.execute("DELETE FROM records")
    scenario.db.close()


def test_a_backup_brings_back_the_database_the_files_and_the_key(
    cli: Cli, scenario: Scenario, settings: Settings, kept: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    cli.ok("db", "dump", str(file), "--files", "--key")
    lose(scenario)
    (settings.data_dir / "files" / "1" / "letter.pdf").unlink()
    (settings.data_dir / "secret.key").unlink()

    said = cli.ok("db", "restore", str(file), "--replace")

    assert records(scenario) == ["a", "b"]
    assert (settings.data_dir / "files" / "1" / "letter.pdf").read_text() == "a letter"
    assert Vault(settings).open("token", kept).get_secret_value() == "hush"
    assert "Restored what was there" in said
    assert file.stat().st_mode & 0o077 == 0


def test_a_directory_that_is_not_there_is_told_in_one_sentence(cli: Cli, kept: str, tmp_path: Path) -> None:
    result = cli("db", "dump", str(tmp_path / "gone" / "backup.tar"))

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Not done: {tmp_path / 'gone'}")
    assert result.stderr.endswith(": No such file or directory.\n")


def test_where_files_are_encrypted_no_record_can_be_read_in_a_backup_and_its_own_key_opens_it(
    cli: Cli, scenario: Scenario, settings: Settings, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PDPP_ENCRYPT_FILES", "true")
    get_settings.cache_clear()
    for name, *more in (("without.tar", "--files"), ("with.tar", "--files", "--key")):
        cli.ok("db", "dump", str(tmp_path / name), *more)
    lose(scenario)
    (settings.data_dir / "secret.key").unlink()

    refused = cli.refusal("db", "restore", str(tmp_path / "without.tar"), "--replace")
    cli.ok("db", "restore", str(tmp_path / "with.tar"), "--replace")

    assert "database.dump cannot be opened" in refused
    assert records(scenario) == ["a", "b"]
    assert all(
        b"PGDMP" not in path.read_bytes() for path in [*tmp_path.glob("*.tar"), *settings.data_dir.glob("backups/*")]
    )


def test_what_was_replaced_can_be_brought_back(cli: Cli, scenario: Scenario, kept: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    cli.ok("db", "dump", str(file))
    scenario.execute("UPDATE records SET key = 'c' WHERE key = 'b'")
    scenario.db.close()

    said = cli.ok("db", "restore", str(file), "--replace")
    cli.ok("db", "restore", "--replace", said.split()[-1])

    assert records(scenario) == ["a", "c"]


def test_nothing_is_replaced_unasked(cli: Cli, scenario: Scenario, kept: str, tmp_path: Path) -> None:
    cli.ok("db", "dump", str(tmp_path / "backup.tar"))
    lose(scenario)

    assert "--replace" in cli.refusal("db", "restore", str(tmp_path / "backup.tar"))
    assert "exists already" in cli.refusal("db", "dump", str(tmp_path / "backup.tar"))


def test_a_database_that_a_fleet_works_on_is_not_replaced(
    cli: Cli, scenario: Scenario, kept: str, tmp_path: Path
) -> None:
    cli.ok("db", "dump", str(tmp_path / "backup.tar"))

    with scenario.db.begin():
        assert "stop its workers first" in cli.refusal("db", "restore", str(tmp_path / "backup.tar"), "--replace")


def test_a_dump_that_is_damaged_leaves_what_is_here(cli: Cli, scenario: Scenario, kept: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    cli.ok("db", "dump", str(file))
    content = file.read_bytes()
    at = content.index(b"PGDMP")
    file.write_bytes(content[: at + 200] + b"x" * 2000 + content[at + 2200 :])
    scenario.db.close()

    result = cli("db", "restore", str(file), "--replace")

    assert result.exit_code == 1
    assert "pg_restore failed" in result.stderr
    assert records(scenario) == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_backup_is_named(cli: Cli, scenario: Scenario, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "photo.tar"
    file.write_bytes(content)
    scenario.db.close()

    assert f"{file} is no backup" in cli.refusal("db", "restore", str(file))
