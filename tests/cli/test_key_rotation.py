"""`secrets rotate`: every stored credential under the newest key, for its own connection."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import key_rotation
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.cli.conftest import Cli

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def with_keys(settings: Settings, *keys: str) -> Vault:
    """A vault with these keys in the settings."""
    return Vault(settings.model_copy(update={"secret_key": SecretStr(",".join(keys))}))


def add(db: Database, name: str, **credentials: str) -> None:
    """Add a connection with these stored credentials."""
    with db.begin() as connection:
        connections.add(connection, name, "scripted", {}, credentials)


def stored(db: Database, name: str) -> dict[str, str]:
    """The credentials of a connection, as they are stored."""
    with db.begin() as connection:
        return connections.get(connection, name).credentials


def opened(vault: Vault, db: Database, name: str, key: str = "token") -> str:
    """The value of a stored credential."""
    return vault.open(Place("scripted", name, key), stored(db, name)[key]).get_secret_value()


def test_the_old_key_is_needed_no_more(settings: Settings, db: Database) -> None:
    old = with_keys(settings, OLD)
    add(db, "a", token=old.seal("one", Place("scripted", "a", "token")), free=old.seal("two"), far="env:FAR")

    outcome = key_rotation.rotate(db, with_keys(settings, NEW, OLD))

    assert (outcome.rewritten, outcome.left) == (2, [])
    assert [opened(with_keys(settings, NEW), db, "a", key) for key in ("token", "free")] == ["one", "two"]
    assert stored(db, "a")["far"] == "env:FAR"


def test_a_rotation_that_was_cut_off_goes_on_where_it_ended(settings: Settings, db: Database) -> None:
    both = with_keys(settings, NEW, OLD)
    add(db, "a", token=both.seal("one", Place("scripted", "a", "token")))
    add(db, "b", token=with_keys(settings, OLD).seal("two"))
    done = stored(db, "a")

    assert key_rotation.rotate(db, both).rewritten == 1
    assert stored(db, "a") == done
    assert key_rotation.rotate(db, both).rewritten == 0


def test_one_that_cannot_be_opened_stays_and_holds_up_nothing(settings: Settings, db: Database) -> None:
    lost = with_keys(settings, Fernet.generate_key().decode()).seal("lost")
    add(db, "a", token=lost)
    add(db, "b", token=with_keys(settings, OLD).seal("two"))

    outcome = key_rotation.rotate(db, with_keys(settings, NEW, OLD))

    assert outcome.rewritten == 1
    assert outcome.left[0].startswith("a: The stored credential token was sealed under another key")
    assert stored(db, "a") == {"token": lost}


def test_a_credential_moved_to_another_connection_does_not_open(settings: Settings, db: Database) -> None:
    vault = with_keys(settings, NEW)
    add(db, "bank", token=vault.seal("one", Place("scripted", "bank", "token")))
    add(db, "other", **stored(db, "bank"))

    with pytest.raises(ConfigurationError, match="was sealed for another one"):
        opened(vault, db, "other")


def test_the_key_file_gets_a_new_key_and_every_credential_opens_under_it_alone(
    cli: Cli, settings: Settings, db: Database
) -> None:
    add(db, "a", token=Vault(settings).seal("one"))

    said = cli.ok("secrets", "rotate", "--new-key")

    path = settings.data_dir / "secret.key"
    newest, _ = path.read_text().split()
    path.write_text(newest)
    assert "Sealed 1 credentials anew." in said
    assert path.stat().st_mode & 0o077 == 0
    assert opened(Vault(settings), db, "a") == "one"
    assert [one["action"] for one in cli.json_lines("audit", "a")] == ["credentials.rotate"]


def test_what_is_left_ends_the_command_as_a_failure(cli: Cli, settings: Settings, db: Database) -> None:
    add(db, "a", token=with_keys(settings, OLD).seal("lost"))

    result = cli("secrets", "rotate")

    assert result.exit_code == 1
    assert "Not sealed anew: a: The stored credential token was sealed under another key" in result.stderr
