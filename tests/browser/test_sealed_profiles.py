"""A browser profile is encrypted while no browser uses it, comes back as it was, and survives a kill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from pdpp_worker.browser import profile
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import sealing

COOKIE = b"session=hush-hush"
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def with_keys(folder: Path, *keys: str, encrypts: bool = True) -> Settings:
    """Settings with these keys."""
    return Settings(data_dir=folder, secret_key=SecretStr(",".join(keys)), encrypt_files=encrypts)


def use(folder: Path, settings: Settings, cookie: bytes | None = None) -> bytes:
    """Let a browser read the cookie, and write another one; returns what it read."""
    directory = folder / "browser" / "7-mine"
    with profile.opened(directory, timeout_s=1.0, settings=settings):
        held = (directory / "Cookies").read_bytes() if (directory / "Cookies").exists() else b""
        if cookie is not None:
            (directory / "Cookies").write_bytes(cookie)
    return held


def on_disk(folder: Path) -> bytes:
    """All bytes of the profiles."""
    return b"".join(path.read_bytes() for path in (folder / "browser").rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces in a small profile."""
    monkeypatch.setattr(sealing, "PIECE_BYTES", 3_000)


def test_it_is_not_readable_on_the_disk_and_comes_back(tmp_path: Path) -> None:
    settings = with_keys(tmp_path, NEW)

    use(tmp_path, settings, COOKIE * 1_000)

    assert COOKIE not in on_disk(tmp_path)
    assert (tmp_path / "browser" / "7-mine.sealed").stat().st_mode & 0o077 == 0
    assert use(tmp_path, settings) == COOKIE * 1_000


def test_without_the_setting_it_stays_readable_and_a_sealed_one_is_opened(tmp_path: Path) -> None:
    use(tmp_path, with_keys(tmp_path, NEW), COOKIE)

    assert use(tmp_path, with_keys(tmp_path, NEW, encrypts=False)) == COOKIE
    assert COOKIE in on_disk(tmp_path)


def test_an_older_key_opens_it_and_the_first_one_seals_it_anew(tmp_path: Path) -> None:
    use(tmp_path, with_keys(tmp_path, OLD), COOKIE)

    assert use(tmp_path, with_keys(tmp_path, NEW, OLD)) == COOKIE
    assert use(tmp_path, with_keys(tmp_path, NEW)) == COOKIE


DAMAGES = (lambda raw: raw[:-1], lambda raw: raw[:4_000], lambda raw: raw[:50] + b"x" + raw[51:])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_or_one_of_another_key_is_refused_and_kept(tmp_path: Path, damage: object) -> None:
    use(tmp_path, with_keys(tmp_path, NEW), os.urandom(10_000))
    file = tmp_path / "browser" / "7-mine.sealed"
    whole = file.read_bytes()
    file.write_bytes(damage(whole))  # type: ignore[operator]

    with pytest.raises(ConfigurationError, match="cannot be opened: it is damaged, or was sealed under another key"):
        use(tmp_path, with_keys(tmp_path, NEW))
    file.write_bytes(whole)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        use(tmp_path, with_keys(tmp_path, OLD))

    assert file.read_bytes() == whole


def test_one_that_a_killed_worker_left_open_is_the_newer_one(tmp_path: Path) -> None:
    settings = with_keys(tmp_path, NEW)
    use(tmp_path, settings, b"old")
    directory = tmp_path / "browser" / "7-mine"
    directory.mkdir()
    (directory / "Cookies").write_bytes(COOKIE)

    assert use(tmp_path, settings) == COOKIE
    assert COOKIE not in on_disk(tmp_path)


def test_its_removal_removes_both_forms(tmp_path: Path) -> None:
    use(tmp_path, with_keys(tmp_path, NEW), COOKIE)

    profile.remove_at(tmp_path / "browser" / "7-mine")

    assert list((tmp_path / "browser").iterdir()) == []
