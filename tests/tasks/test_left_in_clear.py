"""Files that a killed worker left in the clear are encrypted by the next worker, or by the control worker's looks."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from pdpp_worker.stored_files import connection_files, file_forms
from pdpp_worker.tasks import tasks
from pdpp_worker.tasks.services import Services

SECRET = b"a private letter"


@pytest.mark.parametrize("look", [tasks.tidy_host, tasks.watch], ids=["a worker starts", "the control worker looks"])
def test_they_are_encrypted_without_a_slice(
    look: Callable[[], None], settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypting = settings.model_copy(update={"encrypt_files": True})
    monkeypatch.setattr(tasks, "services", lambda: Services(encrypting, db, redis))
    file = left_by_a_killed_worker(encrypting)
    assert file.read_bytes() == SECRET

    look()

    assert file_forms.is_sealed(file)
    assert connection_files.store_at(encrypting, file.parent).read("letter") == SECRET


def left_by_a_killed_worker(settings: Settings) -> Path:
    """The file that a program wrote whose worker was killed."""
    directory = connection_files.files_dir(settings, 7, "mine")
    if (worker := os.fork()) == 0:
        (connection_files.store_at(settings, directory).open_directory() / "letter").write_bytes(SECRET)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(worker, 0)
    return directory / "letter"
