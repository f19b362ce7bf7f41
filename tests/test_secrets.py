"""Credentials: kept as references or sealed, opened only where they are needed, never shown."""

from __future__ import annotations

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secrets import MASK, Redactor, Vault
from pdpp_worker.settings import Settings

SECRET = "correct horse battery staple"

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault whose key is in a file."""
    return Vault(Settings(data_dir=tmp_path / "data"))


def keyed(tmp_path: Path, key: str) -> Vault:
    """A vault whose key is in the settings."""
    return Vault(Settings(data_dir=tmp_path / "data", secret_key=SecretStr(key)))


def refusal(vault: Vault, stored: str) -> str:
    """The vault's sentence when it cannot open a credential."""
    with pytest.raises(ConfigurationError) as caught:
        vault.open("token", stored)
    return str(caught.value)


class TestSealing:
    """The stored form gives nothing away."""

    @given(texts.filter(lambda text: not text.startswith(("env:", "file:"))))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    def test_what_was_sealed_opens_to_the_same(self, vault: Vault, value: str) -> None:
        assert vault.open("token", vault.seal(value)).get_secret_value() == value

    def test_the_stored_form_does_not_hold_the_secret(self, vault: Vault) -> None:
        sealed = vault.seal(SECRET)

        assert sealed.startswith("enc:")
        assert SECRET not in sealed
        assert sealed != vault.seal(SECRET)

    @pytest.mark.parametrize("reference", ["env:TOKEN", "file:/run/secrets/token"])
    def test_a_reference_is_stored_as_it_is(self, vault: Vault, reference: str) -> None:
        assert vault.seal(reference) == reference

    def test_an_opened_secret_does_not_show_itself(self, vault: Vault) -> None:
        opened = vault.open("token", vault.seal(SECRET))

        assert SECRET not in f"{opened} {opened!r}"

    def test_another_vault_with_the_same_key_opens_it(self, tmp_path: Path) -> None:
        key = Fernet.generate_key().decode()

        assert keyed(tmp_path, key).open("token", keyed(tmp_path, key).seal(SECRET)).get_secret_value() == SECRET

    @pytest.mark.parametrize("stored", ["enc:", "enc:garbage", "nothing", ""])
    def test_what_another_key_sealed_says_what_to_do(self, vault: Vault, stored: str) -> None:
        assert refusal(vault, stored) == (
            "The stored credential token was sealed under another key; set PDPP_SECRET_KEY to that key, "
            "or store the credential again."
        )

    def test_another_key_does_not_open_it(self, tmp_path: Path) -> None:
        sealed = keyed(tmp_path, Fernet.generate_key().decode()).seal(SECRET)

        assert "sealed under another key" in refusal(keyed(tmp_path, Fernet.generate_key().decode()), sealed)

    @pytest.mark.parametrize("key", ["short", "", "é" * 44])
    def test_a_key_that_is_none_says_so_and_is_not_shown(self, tmp_path: Path, key: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            keyed(tmp_path, key).seal(SECRET)

        assert str(caught.value) == "The key for stored credentials is not a Fernet key (32 bytes, URL-safe base64)."


class TestKeyFile:
    """Without a key in the settings, one is made and kept."""

    def test_only_its_owner_can_read_it(self, vault: Vault, tmp_path: Path) -> None:
        vault.seal(SECRET)

        assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600

    def test_it_is_made_once(self, tmp_path: Path) -> None:
        first, second = (Vault(Settings(data_dir=tmp_path / "data")) for _ in range(2))
        sealed = first.seal(SECRET)
        key = (tmp_path / "data" / "secret.key").read_bytes()

        assert second.open("token", sealed).get_secret_value() == SECRET
        assert (tmp_path / "data" / "secret.key").read_bytes() == key

    def test_many_who_need_it_first_agree_on_one(self, tmp_path: Path) -> None:
        def seal(_: int) -> str:
            return Vault(Settings(data_dir=tmp_path / "data")).seal(SECRET)

        with ThreadPoolExecutor(8) as threads:
            sealed = list(threads.map(seal, range(16)))

        vault = Vault(Settings(data_dir=tmp_path / "data"))
        assert {vault.open("token", one).get_secret_value() for one in sealed} == {SECRET}
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]

    def test_a_key_in_the_settings_leaves_no_file(self, tmp_path: Path) -> None:
        keyed(tmp_path, Fernet.generate_key().decode()).seal(SECRET)

        assert not (tmp_path / "data" / "secret.key").exists()


class TestReferences:
    """`env:NAME` and `file:PATH`."""

    def test_a_variable_is_read_when_it_is_needed(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_TOKEN", SECRET)

        assert vault.open("token", "env:MY_TOKEN").get_secret_value() == SECRET

    @pytest.mark.parametrize("value", [None, ""])
    def test_a_variable_that_is_not_set_is_named(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        monkeypatch.delenv("MY_TOKEN", raising=False)
        if value is not None:
            monkeypatch.setenv("MY_TOKEN", value)

        assert refusal(vault, "env:MY_TOKEN") == (
            "The credential token is to come from the variable MY_TOKEN, which is not set."
        )

    def test_a_file_is_read_without_the_space_around_it(self, vault: Vault, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.write_text(f"  {SECRET}\n")

        assert vault.open("token", f"file:{path}").get_secret_value() == SECRET

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (None, "cannot be read from {path}: No such file or directory."),
            (b"", "is to come from {path}, which is empty."),
            (b" \n", "is to come from {path}, which is empty."),
            (b"\xff", "cannot be read from {path}: it is not UTF-8 text."),
        ],
        ids=["absent", "empty", "blank", "no text"],
    )
    def test_a_file_that_holds_none_is_named(
        self, vault: Vault, tmp_path: Path, content: bytes | None, sentence: str
    ) -> None:
        path = tmp_path / "token"
        if content is not None:
            path.write_bytes(content)

        assert refusal(vault, f"file:{path}") == f"The credential token {sentence.format(path=path)}"


class TestRedactor:
    """No secret that was handed out leaves in a text."""

    @given(
        st.lists(st.text("ab-1é", min_size=4, max_size=8), max_size=4),
        st.lists(st.text("ab-1é", max_size=8), max_size=5),
        st.randoms(),
    )
    def test_no_known_secret_is_left(self, secrets: list[str], around: list[str], order: object) -> None:
        redactor = Redactor()
        for secret in secrets:
            redactor.learn(SecretStr(secret))
        parts = sorted([*secrets, *around], key=lambda _: order.random())  # type: ignore[attr-defined]

        shown = redactor(" ".join(parts))

        assert not any(secret in shown for secret in secrets)

    def test_one_secret_inside_another_leaves_no_rest(self) -> None:
        for first, second in (("abcd", "abcdefgh"), ("abcdefgh", "abcd")):
            redactor = Redactor()
            redactor.learn(SecretStr(first))
            redactor.learn(SecretStr(second))

            assert redactor("sent abcdefgh and abcd") == f"sent {MASK} and {MASK}"

    @given(st.text(min_size=8, max_size=40), st.text("ab:", max_size=5), st.text("ab:", max_size=5))
    def test_no_encoded_form_of_a_secret_is_left(self, secret: str, before: str, after: str) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr(secret))
        raw = f"{before}{secret}{after}".encode()
        shown = [
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            raw.hex(),
            raw.hex().upper(),
            quote(secret, safe=""),
            json.dumps({"token": secret}),
            f"{before}{secret.upper()}",
        ]

        assert all(MASK in redactor(text) for text in shown)

    def test_a_secret_of_several_lines_is_masked_line_by_line(self) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n"))

        assert redactor("read:\n  MIIEvQIBADANBg") == f"read:\n  {MASK}"

    def test_a_secret_is_handed_on_as_it_is(self) -> None:
        secret = SecretStr(SECRET)

        assert Redactor().learn(secret) is secret

    def test_text_without_secrets_is_left_alone(self) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr(SECRET))
        redactor.learn(SecretStr("a"))

        assert redactor("a correct horse") == "a correct horse"


def test_a_key_that_cannot_be_read_asks_the_owner(tmp_path: Path) -> None:
    (tmp_path / "data" / "secret.key").mkdir(parents=True)

    said = refusal(Vault(Settings(data_dir=tmp_path / "data")), "enc:abc")

    assert "cannot be read: Is a directory." in said
    assert "sudo chown" in said
