"""Files of a program, and blobs that it uploads, are encrypted once it has ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pdpp_worker.privileges import may_change_user
from pdpp_worker.stored_files import connection_files
from tests.subprocess.conftest import Commands
from tests.subprocess.test_other_user import SETTING, separated
from tests.subprocess.test_reference_form import PostBox, post_box

pytestmark = pytest.mark.process  # starts processes itself
__all__ = ["post_box", "separated"]


def encrypt(commands: Commands) -> None:
    """Let the worker encrypt files from now on."""
    commands.settings = commands.settings.model_copy(update={"encrypt_files": True})


def on_disk(commands: Commands) -> bytes:
    """All bytes of the files of connections."""
    files = (commands.settings.data_dir / "files").rglob("*")
    return b"".join(path.read_bytes() for path in files if path.is_file())


def test_its_files_and_blobs_are_encrypted_and_it_finds_its_files_again(commands: Commands, post_box: PostBox) -> None:
    encrypt(commands)

    commands.run()
    commands.run()

    [directory] = connection_files.directories(commands.settings)
    store = connection_files.store_at(commands.settings, directory)
    blob = commands.held("letters")["3"]["scan"]["sha256"]
    starts = [json.loads(line) for line in store.read("starts").splitlines()]
    assert b"pixels" not in on_disk(commands)
    assert b"scheduled" not in on_disk(commands)
    assert store.read(f"attachments/{blob[:2]}/{blob}") == b"pixels"
    assert [one["state"] for one in starts] == [None, {"letters": {"newest": 3}, "stamps": {"count": 1}}]


@pytest.mark.skipif(not may_change_user(), reason="only root starts programs as another user")
def test_so_are_those_of_a_program_with_a_user_of_its_own(separated: Commands) -> None:
    encrypt(separated)
    tried = json.dumps({"files": [], "sockets": [], "processes": []})

    for _ in range(2):
        separated.configure(settings=json.dumps({"tried": tried}))
        assert separated.misbehave("spies", settings=SETTING)["status"] == "succeeded"

    files = separated.settings.data_dir / "files" / "1-mine"
    assert connection_files.store_at(separated.settings, files).read(".home/kept") == b"mine"
    assert (files / ".home" / "kept").read_bytes() != b"mine"
    assert {path.lstat().st_uid for path in (files, *files.rglob("*"))} == {os.geteuid()}
    assert not Path(files, ".tmp").exists()
