"""The files of one connection, in pieces so small that a short file has several."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import connection_files, sealing
from pdpp_worker.stored_files.file_store import FileStore

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = b"the words of a private letter; "


class Host:
    """A host whose settings change: which keys there are, and whether files are encrypted."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.root = connection_files.files_dir(Settings(data_dir=data_dir), 7, "mine")

    def settings(self, *keys: str, encrypts: bool = True) -> Settings:
        """Settings with these keys; without any they are in the key file."""
        given = SecretStr(",".join(keys)) if keys else None
        return Settings(data_dir=self.data_dir, secret_key=given, encrypt_files=encrypts)

    def store(self, *keys: str, encrypts: bool = True) -> FileStore:
        """The connection's files under such settings."""
        return connection_files.store_at(self.settings(*(keys or (NEW,)), encrypts=encrypts), self.root)

    def on_disk(self) -> bytes:
        """All bytes of all files below the data directory."""
        return b"".join(path.read_bytes() for path in self.data_dir.rglob("*") if path.is_file())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose encrypted files have pieces of 100 bytes."""
    monkeypatch.setattr(sealing, "PIECE_BYTES", 100)
    return Host(tmp_path / "data")
