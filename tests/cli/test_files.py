"""`files`: the owner reads attachments whatever form they have; `secrets rotate` changes the form of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdpp_worker.connector import Context, Message, Start
from pdpp_worker.doctor.file_checks import stored_files
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.stored_files.connection_files import files_dir
from tests.cli.conftest import Cli
from tests.support.scripted import Scenario, record, state

LETTER = b"the words of a private letter"


@pytest.fixture
def kept(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that stored a file through the context and wrote another by itself; returns where they are."""

    def collect(_: Start, context: Context) -> Iterator[Message]:
        context.stored.write("letters/one.txt", LETTER)
        (context.files / "two.txt").write_bytes(LETTER + b", too")
        yield record("a")
        yield state(1)

    monkeypatch.setenv("PDPP_ENCRYPT_FILES", "true")
    get_settings.cache_clear()
    scenario.settings = scenario.settings.model_copy(update={"encrypt_files": True})
    scenario.install(collect)
    assert scenario.run()["status"] == "succeeded"
    return files_dir(scenario.settings, scenario.connection_id, "mine")


def on_disk(settings: Settings) -> bytes:
    """All bytes of the files of connections."""
    return b"".join(path.read_bytes() for path in (settings.data_dir / "files").rglob("*") if path.is_file())


def test_what_a_connector_stores_is_encrypted_and_read_by_its_path(
    cli: Cli, settings: Settings, kept: Path, tmp_path: Path
) -> None:
    assert LETTER not in on_disk(settings)
    assert cli.ok("files", "get", "mine", "letters/one.txt").encode() == LETTER
    cli.ok("files", "get", "mine", "two.txt", "--output", str(tmp_path / "two"))
    assert (tmp_path / "two").read_bytes() == LETTER + b", too"
    assert (tmp_path / "two").stat().st_mode & 0o077 == 0


def test_all_of_them_are_written_to_a_directory(cli: Cli, kept: Path, tmp_path: Path) -> None:
    said = cli.ok("files", "export", "mine", str(tmp_path / "out"))

    assert "Wrote 2 files" in said
    assert (tmp_path / "out" / "letters" / "one.txt").read_bytes() == LETTER


def test_they_are_listed_with_the_sizes_of_their_content(cli: Cli, kept: Path) -> None:
    found = {one["path"]: (one["size_bytes"], one["encrypted"]) for one in cli.json("files", "list", "mine")}

    assert found == {"letters/one.txt": (len(LETTER), True), "two.txt": (len(LETTER) + 5, True)}


@pytest.mark.parametrize("path", ["nothing", "../../secret.key", "/etc/passwd", "letters", "out"])
def test_only_files_of_the_connection_are_read(cli: Cli, kept: Path, path: str) -> None:
    (kept / "out").symlink_to("/etc/passwd")

    assert "has no file" in cli.refusal("files", "get", "mine", path)


def test_a_damaged_file_is_named_and_the_others_are_written(cli: Cli, kept: Path, tmp_path: Path) -> None:
    damaged = kept / "two.txt"
    damaged.write_bytes(damaged.read_bytes()[:-1])

    result = cli("files", "export", "mine", str(tmp_path / "out"))

    assert result.exit_code == 1
    assert f"{damaged} cannot be opened: it is damaged" in result.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["one.txt"]


def test_under_a_new_key_all_files_are_read_without_the_old_one(cli: Cli, settings: Settings, kept: Path) -> None:
    said = cli.ok("secrets", "rotate", "--new-key")

    key_file = settings.data_dir / "secret.key"
    key_file.write_text(key_file.read_text().split()[0])
    assert "Sealed 2 files anew." in said
    assert cli.ok("files", "get", "mine", "two.txt").encode() == LETTER + b", too"


def test_they_come_back_into_the_clear_only_where_that_is_asked_for(
    cli: Cli, settings: Settings, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Unset PDPP_ENCRYPT_FILES first" in cli.refusal("secrets", "rotate", "--decrypt-files")
    monkeypatch.delenv("PDPP_ENCRYPT_FILES")
    get_settings.cache_clear()
    cli.ok("secrets", "rotate")
    assert LETTER not in on_disk(settings)

    said = cli.ok("secrets", "rotate", "--decrypt-files")

    assert "Decrypted 2 files." in said
    assert (kept / "two.txt").read_bytes() == LETTER + b", too"


def test_doctor_names_files_that_are_in_the_clear(settings: Settings, kept: Path) -> None:
    asked = settings.model_copy(update={"encrypt_files": True})
    assert stored_files(asked).startswith("encrypted; the key is in secret.key beside them")
    (kept / "left").write_bytes(LETTER)

    with pytest.raises(ConfigurationError, match=f"1 stored files are in the clear, such as {kept}/left"):
        stored_files(asked)


def test_a_damaged_file_fails_the_run_with_its_name_and_is_kept(scenario: Scenario, kept: Path) -> None:
    damaged = kept / "two.txt"
    damaged.write_bytes(whole := damaged.read_bytes()[:-1])

    run = scenario.run()

    assert run["status"] == "failed"
    assert f"{damaged} cannot be opened: it is damaged" in json.dumps(run, default=str)
    assert damaged.read_bytes() == whole
