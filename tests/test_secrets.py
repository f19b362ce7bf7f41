"""Credentials: kept as references or sealed, opened only where they are needed, never shown."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pdpp_worker import secret_sources
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_forms import compact
from pdpp_worker.secret_keys import add_key
from pdpp_worker.secrets import MASK, Place, Redactor, Vault
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


class TestPlaces:
    """A ciphertext opens for the credential that it was sealed for, and nowhere else."""

    MINE = Place("bank", "mine", "token")

    def test_it_opens_in_its_own_place(self, vault: Vault) -> None:
        sealed = vault.seal(SECRET, self.MINE)

        assert vault.open(self.MINE, sealed).get_secret_value() == SECRET
        assert SECRET not in sealed

    @pytest.mark.parametrize(
        "other",
        [Place("bank", "other", "token"), Place("bank", "mine", "pin"), Place("evil", "mine", "token"), "token"],
    )
    def test_in_another_place_it_is_refused(self, vault: Vault, other: Place | str) -> None:
        sealed = vault.seal(SECRET, self.MINE)

        with pytest.raises(ConfigurationError) as caught:
            vault.open(other, sealed)

        assert "was sealed for another one (token of the connection mine of bank)" in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_it_cannot_be_passed_off_as_one_of_no_place(self, vault: Vault) -> None:
        sealed = vault.seal(SECRET, self.MINE)

        assert "sealed under another key" in refusal(vault, sealed.replace("bound:", "enc:"))

    def test_one_of_no_place_stays_readable_until_it_is_renewed(self, vault: Vault) -> None:
        renewed = vault.renew(self.MINE, vault.seal(SECRET))

        assert renewed is not None
        assert vault.open(self.MINE, renewed).get_secret_value() == SECRET
        assert vault.renew(self.MINE, renewed) is None


class TestSeveralKeys:
    """The first key writes, all of them read."""

    @pytest.mark.parametrize("between", [",", " ", "\n", ", "])
    def test_the_first_one_writes_and_all_of_them_read(self, tmp_path: Path, between: str) -> None:
        old, new = (Fernet.generate_key().decode() for _ in range(2))
        both = keyed(tmp_path, f"{new}{between}{old}")
        of_old = keyed(tmp_path, old).seal(SECRET)

        assert both.open("token", of_old).get_secret_value() == SECRET
        assert keyed(tmp_path, new).open("token", both.seal(SECRET)).get_secret_value() == SECRET
        assert "sealed under another key" in refusal(keyed(tmp_path, old), both.seal(SECRET))

    def test_a_new_key_of_the_file_is_the_first_one(self, tmp_path: Path) -> None:
        given = Settings(data_dir=tmp_path / "data")
        of_old = Vault(given).seal(SECRET)

        add_key(given)

        assert Vault(given).open("token", of_old).get_secret_value() == SECRET
        assert len((tmp_path / "data" / "secret.key").read_bytes().split()) == 2

    def test_many_new_keys_at_once_are_all_kept(self, tmp_path: Path) -> None:
        given = Settings(data_dir=tmp_path / "data")

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: add_key(given), range(8)))

        assert len((tmp_path / "data" / "secret.key").read_bytes().split()) == 9

    def test_keys_of_the_settings_are_changed_by_their_owner(self, tmp_path: Path) -> None:
        given = Settings(data_dir=tmp_path / "data", secret_key=SecretStr(Fernet.generate_key().decode()))

        with pytest.raises(ConfigurationError, match="put a new one before them there"):
            add_key(given)


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

    def test_a_file_that_never_answers_or_never_ends_is_refused(self, vault: Vault, tmp_path: Path) -> None:
        pipe, vast = tmp_path / "pipe", tmp_path / "vast"
        os.mkfifo(pipe)
        vast.touch()
        os.truncate(vast, 1 << 40)

        said = [refusal(vault, f"file:{path}") for path in (pipe, Path("/dev/zero"), vast)]

        assert [one.rpartition(": ")[2] for one in said] == [*["it is no regular file."] * 2, "it has more than 1 MB."]


@pytest.mark.process
class TestKeyring:
    """`keyring:SERVICE/USER`, on the library's own program."""

    @pytest.fixture(autouse=True)
    def _kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A keyring that knows one entry."""
        (tmp_path / "one_entry.py").write_text(_ONE_ENTRY)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "one_entry.OneEntry")

    def test_an_entry_is_read_when_it_is_needed(self, vault: Vault) -> None:
        assert vault.open("token", "keyring:my/mail/ada").get_secret_value() == SECRET

    @pytest.mark.parametrize(
        ("entry", "sentence"),
        [
            ("my/mail/bob", "cannot be read from keyring:my/mail/bob: it has no such entry."),
            ("my/mail/locked", "cannot be read from keyring:my/mail/locked: RuntimeError: it is locked."),
            ("ada", "is kept in no entry of a keyring; write keyring:SERVICE/USER."),
        ],
    )
    def test_what_cannot_be_read_is_named(self, vault: Vault, entry: str, sentence: str) -> None:
        assert refusal(vault, f"keyring:{entry}") == f"The credential token {sentence}"

    def test_a_keyring_that_waits_for_its_owner_is_given_up(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(secret_sources, "_KEYRING_S", 0.1)

        assert "which did not answer in 0 s; unlock it." in refusal(vault, "keyring:my/mail/ada")

    def test_without_the_library_it_says_how_to_get_it(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

        assert "install it with: pip install 'pdpp-worker[keyring]'" in refusal(vault, "keyring:my/mail/ada")


_ONE_ENTRY = f"""
from keyring.backend import KeyringBackend

class OneEntry(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        if username == "locked":
            raise RuntimeError("it is locked")
        return {SECRET!r} if (service, username) == ("my/mail", "ada") else None

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError
"""


Escape = Callable[[str], str]
ESCAPES: list[Escape] = [
    lambda letter: quote(letter, safe=""),
    lambda letter: "".join(f"%{byte:02x}" for byte in letter.encode()),
    lambda letter: json.dumps(letter)[1:-1].upper().replace("\\U", "\\u") if not letter.isascii() else letter,
    lambda letter: "".join(f"\\u{letter.encode('utf-16-be').hex()[at : at + 4]}" for at in _halves(letter)),
    lambda letter: "".join(f"\\x{byte:02x}" for byte in letter.encode()),
]
"""Ways to write one letter."""
AGAIN: list[Escape] = [str, lambda text: quote(text, safe=""), lambda text: json.dumps(text)[1:-1]]
"""Ways to escape the whole of it once more."""
LETTERS = "gGzZ/+=&<\"' \u00e9\u00df\u20ac\U0001f600"
"""None of them is a digit of hex: one that follows a cut escape could be part of it."""
secrets_to_escape = st.text(LETTERS, min_size=8, max_size=30).map(str.strip).filter(lambda one: len(compact(one)) >= 8)


def _halves(letter: str) -> range:
    return range(0, len(letter.encode("utf-16-be")) * 2, 4)


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

    @given(st.integers(), secrets_to_escape, st.sampled_from(AGAIN))
    def test_no_mixture_of_escapes_hides_a_secret(self, seed: int, secret: str, again: Escape) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr(secret))
        random = Random(seed)
        shown = again("".join(random.choice(ESCAPES)(letter) for letter in secret))

        assert redactor(f"it is ({shown}).") == f"it is ({MASK})."

    @pytest.mark.parametrize("between", [":", " ", "-", ", ", "\\x", " 0x", ", 0X", "%", "_"])
    def test_no_separator_between_hex_digits_hides_a_secret(self, between: str) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr(SECRET))
        shown = between.join(f"{byte:02X}" if byte % 2 else f"{byte:02x}" for byte in SECRET.encode())

        assert redactor(f"it is <{between.strip(':, -_')}{shown}>") == f"it is <{MASK}>"

    def test_an_escape_that_is_cut_is_within_a_secret(self) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr("TopSecret/Token"))

        assert redactor.ends_within("it is %54%6f%70%53%6")
        assert not redactor.ends_within("it is %54%6f%70%53%60.")

    def test_a_secret_of_several_lines_is_masked_line_by_line(self) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n"))

        assert redactor("read:\n  MIIEvQIBADANBg") == f"read:\n  {MASK}"

    @given(st.data())
    def test_a_secret_that_is_cut_into_pieces_is_masked_whole(self, data: st.DataObject) -> None:
        redactor = Redactor()
        redactor.learn(SecretStr(SECRET))
        form = data.draw(st.sampled_from([SECRET, base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex()]))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(form) - 1), min_size=1, max_size=4)))
        pieces = [form[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]

        shown = redactor(
            f"it is {data.draw(st.sampled_from([' ', chr(10), chr(92) + 'n', '  ' + chr(10)])).join(pieces)}."
        )

        assert shown.startswith(f"it is {MASK}")
        left = compact(shown.removeprefix(f"it is {MASK}"))
        assert len(left) <= len("Q==.")  # the last letter of base64 depends on what follows

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
