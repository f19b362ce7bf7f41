"""A setting that means nothing is refused by its name, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.endpoints import resolve
from pdpp_worker.setting_files import file_variables
from pdpp_worker.settings import Settings, get_settings, setting_names

ROOT = Path(__file__).parents[1]
WRITTEN = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "Procfile", "docs/*.md", "docker/**/*", "docker/.env.example", "bench/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PDPP_LOG_LEVEL", "LOUD"),
        ("PDPP_LEASE_S", "inf"),
        ("PDPP_SLICE_S", "nan"),
        ("PDPP_BATCH_S", "0"),
        ("PDPP_PACING_COLD_START_MS", "inf"),
    ],
)
def test_a_value_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name):
        get_settings()


NUMBERS = sorted(name for name, field in Settings.model_fields.items() if isinstance(field.default, int | float))


@pytest.mark.parametrize("value", ["1e300", "1e-9", "-1"])
@pytest.mark.parametrize("field", [one for one in NUMBERS if not isinstance(Settings.model_fields[one].default, bool)])
def test_every_number_has_bounds(monkeypatch: pytest.MonkeyPatch, field: str, value: str) -> None:
    name = f"PDPP_{field.upper()}"
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"{name}: Input should be"):
        get_settings()


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret\n")
    monkeypatch.setenv("PDPP_SECRET_KEY_FILE", str(tmp_path / "key"))

    found = get_settings().secret_key

    assert found is not None
    assert found.get_secret_value() == "a secret"


@pytest.mark.parametrize(
    ("content", "beside", "why"),
    [
        (None, "", "PDPP_WEB_PASSWORD_FILE names .*, which cannot be read: No such file or directory"),
        ("\n", "", "PDPP_WEB_PASSWORD_FILE names .*, which is empty"),
        ("a secret", "another", "PDPP_WEB_PASSWORD and PDPP_WEB_PASSWORD_FILE are both set"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, beside: str, why: str
) -> None:
    if content is not None:
        (tmp_path / "password").write_text(content)
    monkeypatch.setenv("PDPP_WEB_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("PDPP_WEB_PASSWORD", beside)

    with pytest.raises(ConfigurationError, match=why):
        get_settings()


@pytest.mark.parametrize("name", ["PDPP_DATABASE_URL_FLE", "PDPP_LEASE_S_FILE"])
def test_a_file_of_what_is_no_secret_is_a_mistyped_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/dev/null")

    with pytest.raises(ConfigurationError, match="is not a setting"):
        get_settings()


@pytest.mark.parametrize("value", ["1e300", "0", "-5", "nan", "inf"])
def test_a_rate_ceiling_has_bounds(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PDPP_CHATGPT_PACING_MIN_INTERVAL_MS", value)

    with pytest.raises(ConfigurationError, match="a day at most"):
        registry.check_ceilings(get_settings())


def test_a_level_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_LOG_LEVEL", "debug")

    assert get_settings().log_level == "DEBUG"


def test_a_broker_that_celery_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_DATABASE_URL", "postgresql://nowhere.example/x")
    monkeypatch.setenv("PDPP_REDIS_URL", "redis://nowhere.example/0")
    monkeypatch.setenv("PDPP_BROKER_URL", "unix:///broker.sock")

    with pytest.raises(ConfigurationError, match="PDPP_BROKER_URL must start with one of"):
        resolve(get_settings())


NAMES = setting_names()
OTHERS = ("PDPP_BANK_TOKEN", "PDPP_RUN_ID", "PDPP_FILES_DIR", "PDPP_PACING_MIN_INTERVAL_MS")
OF_PROGRAMS = {
    "PDPP_BROWSER_HEADLESS",
    "PDPP_BROWSER_PROFILE_ROOT",
    "PDPP_CONNECTOR_ARTIFACT_ROOT",
    "PDPP_CONNECTOR_ID",
    "PDPP_CONNECTOR_INSTANCE_ID",
    "PDPP_OWNER_TOKEN",
    "PDPP_RS_URL",
    "PDPP_RUN_AUTOMATION_MODE",
    "PDPP_RUN_TRIGGER_KIND",
}
"""Variables that a connector's program is given; no settings of the fleet."""


def test_a_setting_that_is_mistyped_is_refused_with_its_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_DISPTACH_EVERY_S", "5")

    with pytest.raises(ConfigurationError) as caught:
        get_settings()

    assert str(caught.value) == "PDPP_DISPTACH_EVERY_S is not a setting; did you mean PDPP_DISPATCH_EVERY_S?"


@given(st.sampled_from(NAMES), st.data())
def test_any_setting_with_two_letters_swapped_is_refused(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(len("PDPP_"), len(name) - 2))
    typo = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(typo, "")
        get_settings.cache_clear()

        if typo in NAMES:
            get_settings()
        else:
            with pytest.raises(ConfigurationError, match=f"{typo} is not a setting; did you mean PDPP_"):
                get_settings()


@pytest.mark.parametrize("name", [*NAMES, *OTHERS])
def test_what_is_a_setting_or_looks_like_none_is_not_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")

    get_settings()


def test_a_ceiling_of_a_connector_that_is_mistyped_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_CHATGTP_PACING_MIN_INTERVAL_MS", "500")

    with pytest.raises(ConfigurationError, match="did you mean PDPP_CHATGPT_PACING_MIN_INTERVAL_MS"):
        registry.check_ceilings(get_settings())


def test_a_ceiling_of_a_connector_that_is_not_installed_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_BANK_PACING_MIN_INTERVAL_MS", "500")

    registry.check_ceilings(get_settings())


@pytest.mark.parametrize("path", WRITTEN)
def test_what_is_written_about_settings_names_none_that_is_not_there(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    named = set(re.findall(r"PDPP_[A-Z0-9_]*[A-Z0-9](?![<A-Z0-9_])", text))
    ceilings = {get_settings().ceiling_variable(name) for name in registry.all_connectors()}

    assert named - {*NAMES, *file_variables(Settings), *OTHERS, *OF_PROGRAMS, *ceilings} == set()


@pytest.mark.parametrize(
    "name", ["PDPP_CHATGPT_PACING_MIN_INTERVAL", "PDPP_CHATGPT_PACNIG_MIN_INTERVAL_MS", "PDPP_CHATGPT_MIN_INTERVAL_MS"]
)
def test_a_ceiling_whose_own_words_are_mistyped_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "500")

    with pytest.raises(ConfigurationError, match="did you mean PDPP_CHATGPT_PACING_MIN_INTERVAL_MS"):
        registry.check_ceilings(get_settings())
