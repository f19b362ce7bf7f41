"""Settings of the program, read once from the environment (prefix `PDPP_`)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from pdpp_worker.child_variables import (
    BROWSER_VARIABLES,
    DISPLAYS,
    OWN_BROWSER_VARIABLES,
    PLATFORM_VARIABLES,
    TOLD_TO_COMMANDS,
)
from pdpp_worker.data_dirs import default_data_dir
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.setting_files import SecretFiles, file_variables
from pdpp_worker.setting_types import DAY_S, Count, Megabytes, Milliseconds, Period, Seconds, Threads

_PREFIX = "PDPP_"
_CEILING = re.compile(r"PDPP_(\w+)_PACING_MIN_INTERVAL_MS")
_TYPO = 0.7
"""Names that are as alike as this are taken for the same one, mistyped (`difflib`'s ratio, without the prefix)."""


class Settings(BaseSettings):
    """The fleet's settings; field `x_y` is the environment variable `PDPP_X_Y`.

    A secret may be in a file, which `PDPP_X_Y_FILE` names.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    """Embedded servers, logs, files of connections, browser profiles and the key for stored credentials."""
    connectors_dir: Path | None = None
    """Directory of the owner's own connectors, a folder each; unset: `connectors` in the data directory."""
    database_url: SecretStr | None = None
    """PostgreSQL 14 or newer; unset: the embedded server."""
    redis_url: SecretStr | None = None
    """Redis 6.2 or newer, for pacing; unset: the embedded server."""
    broker_url: SecretStr | None = None
    """Celery's broker; unset: the Redis server above, database 1 beside it."""
    secret_key: SecretStr | None = None
    """Fernet keys for stored credentials, with commas between them: the first one writes, all of them read; unset: the
    file `secret.key` in the data directory."""
    encrypt_files: bool = False
    """Encrypt the files of connections under these keys, and browser profiles while no browser uses them. Who loses the
    keys loses the files."""
    connector_user: str | None = None
    """User as whom connectors that are programs run: a name, an id, or `FIRST-LAST`, one for each run at a time;
    unset: 60706-61183 where the fleet is root, else the fleet's own; see `connection set --as-fleet-user`."""
    connectors_offline: Annotated[tuple[str, ...], NoDecode] = ()
    """Connectors that are programs and get no network, with commas between their names."""
    connector_memory_mb: Annotated[int, Field(ge=0, le=1_048_576)] = 2048
    """Most memory of a connector that is a program, with all that it starts, MB; 0: no limit."""
    connection_files_mb: Megabytes = 102_400
    """Most bytes of a connection's files on a host, MB of 1024² bytes; 0: no limit."""
    files_free_mb: Megabytes = 1024
    """So much of a disk is left free by the files of connections, MB, and no more than a tenth of it; 0: none."""

    dispatch_every_s: Period = 30.0
    """How often the dispatcher looks for due runs."""
    sweep_every_s: Period = 60.0
    """How often the sweeps look for due gaps, and the watchdog for connections that stand still."""
    notify_url: SecretStr | None = None
    """Addresses of apprise, apart by spaces, that are told what waits for the owner."""
    index_every_s: Period = 10.0
    """How often what was collected is made findable by its words."""
    housekeeping_every_s: Period = 3600.0
    """How often old events are dropped and structural absences are compared with the manifests."""

    slice_s: Seconds = 60.0
    """How long a slice may work before its run goes on in another one."""
    silence_s: Seconds = 300.0
    """A connector that yields nothing for so long is taken for hung: its lease is no longer renewed."""
    slice_messages: Count = 1_000_000
    """How many messages a slice may take."""
    lease_s: Seconds = 30.0
    """How long a connection waits for a worker that has died."""
    batch_records: Count = 8_000
    """Most records of a transaction."""
    batch_bytes: Count = 4_000_000
    """Most bytes of records of a transaction."""
    batch_s: Seconds = 1.0
    """How long records may wait for their transaction."""
    run_attempts: Count = 5
    """Slices in a row that may die without committing anything before the run is ended; four times as many in all."""

    pacing_cold_start_ms: Milliseconds = 1000.0
    """First interval between two requests where no rate was learned yet."""
    http_timeout_s: Seconds = 45.0
    """Longest silence of a provider within one request."""
    browser: str | None = None
    """Path or name of the Chromium or Chrome for connections with `reach=browser`; unset: the first one on the PATH."""
    browser_headed: bool = False
    """Show that browser's window while it collects; some providers let in no browser without one."""
    gap_backoff_s: Seconds = 60.0
    """First delay before a gap is tried again; doubles with each attempt, at most a day."""
    gap_max_attempts: Annotated[int, Field(ge=1, le=10_000)] = 12
    """Attempts after which a gap is exhausted and waits for the owner."""
    run_budget_s: Seconds = 4 * 3600.0
    """Working time of one run; what does not fit is left to the next one."""
    recovery_share: Annotated[float, Field(ge=0.001, le=1)] = 0.25
    """The share of a run's budget that may go to known gaps before it walks on; they get what is left afterwards."""

    events_keep_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """How long events, tries of gaps and the history of rates are kept."""
    runs_keep_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    """How long runs are kept that nothing refers to any more, and earlier versions of records; the last runs of a
    connection always are."""
    record_versions: Annotated[int, Field(ge=0, le=1_000)] = 10
    """Earlier versions that are kept of a record, 256 KiB of them at most; 0: none."""

    broker_timeout_s: Seconds = 5.0
    """Bound on every single operation on the broker and the pacing server."""
    metrics_address: str = "127.0.0.1"
    """The address on which workers answer Prometheus."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where they do: each process of a machine takes the first free port from this one on; 0: none does."""
    flower_port: Annotated[int, Field(ge=0, le=65535)] = 5555
    """Where `up` starts Flower."""
    flower_basic_auth: SecretStr | None = None
    """`user:password`; required to let Flower listen beyond loopback."""
    flower_address: str = "127.0.0.1"
    """The address on which Flower listens."""
    flower_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names by which Flower is reached beside `localhost` and this machine's own, with commas between them."""
    web_port: Annotated[int, Field(ge=0, le=65535)] = 8321
    """Port of the console; `up` takes a free one where it is in use. 0: a free one."""
    web_address: str = "127.0.0.1"
    """The address on which the console listens."""
    web_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names by which the console is reached beside those of loopback, with commas between them."""
    web_password: SecretStr | None = None
    """Lets in, beside one-time keys; this or a proxy's secret lets the console listen beyond loopback."""
    web_proxy_secret: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Lets in who comes through your reverse proxy, which signs people in and sends this as `PDPP-Proxy-Secret`."""
    web_read_only: bool = False
    """Show everything in the console, and let nothing be changed there."""
    collect_threads: Threads = 1024
    """Most connections that the worker for the queue `collect` works on at once; each has a thread while it does."""
    local_processes: Threads = 2
    """Processes of the worker for the queue `local`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The least level that is logged."""
    log_json: bool = False
    """Log a JSON object on each line."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, and the files that it names."""
        return init_settings, env_settings, SecretFiles(settings_cls, os.environ)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @field_validator("web_hosts", "connectors_offline", "flower_hosts", mode="before")
    @classmethod
    def _listed(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(name.strip().lower() for name in names if name.strip())

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    def pacing_min_interval_ms(self, connector: str, default: float) -> float:
        """The owner's rate ceiling for a connector, ms between two requests.

        Read from `PDPP_<CONNECTOR>_PACING_MIN_INTERVAL_MS`, else the manifest's default.

        Raises:
            ConfigurationError: the variable is not a positive number of milliseconds.
        """
        name = self.ceiling_variable(connector)
        text = next((value for given, value in os.environ.items() if given.upper() == name), None)
        return default if text is None else positive_ms(name, text)

    @staticmethod
    def ceiling_variable(connector: str) -> str:
        """The variable that holds the rate ceiling of a connector."""
        return f"PDPP_{connector.upper()}_PACING_MIN_INTERVAL_MS"

    @property
    def own_connectors(self) -> Path:
        """The directory of the owner's own connectors; it need not exist."""
        return (self.connectors_dir or self.data_dir / "connectors").expanduser().absolute()

    def platform_environment(self) -> dict[str, str]:
        """The environment that any program needs, and nothing of it that is the owner's."""
        return {name: os.environ[name] for name in PLATFORM_VARIABLES if name in os.environ}

    def variable(self, name: str) -> str | None:
        """The value of a variable that is no setting, as behind a credential `env:NAME`; None: it is unset."""
        return os.environ.get(name)

    def browser_environment(self) -> dict[str, str]:
        """The environment for a browser: what a window and a home need, no secret and no proxy."""
        return {name: os.environ[name] for name in BROWSER_VARIABLES if name in os.environ}

    def own_browser_environment(self) -> dict[str, str]:
        """The variables that a command needs for a browser of its own: where browsers are installed, and the screen."""
        return {name: os.environ[name] for name in OWN_BROWSER_VARIABLES if name in os.environ}

    def has_display(self) -> bool:
        """Whether a window can be opened."""
        return sys.platform == "darwin" or any(os.environ.get(name) for name in DISPLAYS)

    def child_environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment for a process of the fleet: this one's, with `extra` on top."""
        return {**os.environ, **extra}


def positive_ms(name: str, text: str) -> float:
    """Read a positive number of milliseconds, a day at most.

    Raises:
        ConfigurationError: naming the setting and what it must be.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000 * DAY_S:
        raise ConfigurationError(
            f"{name} is {text!r}; it must be a positive number of milliseconds, such as 250, and a day at most."
        )
    return value


def unknown_variables() -> list[str]:
    """The variables of the environment that begin as a setting does, and are none; not the ceilings of connectors.

    They may be meant for somebody else: a credential is kept as a reference to a variable of any name.
    """
    known = {*setting_names(), *file_variables(Settings), *TOLD_TO_COMMANDS}
    names = (name.upper() for name in os.environ if name.upper().startswith(_PREFIX))
    return sorted(name for name in names if name not in known and not _CEILING.fullmatch(name))


def connectors_with_ceilings() -> list[str]:
    """The connectors, by their names in capitals, whose rate ceiling the environment sets."""
    return sorted(match[1] for name in os.environ if (match := _CEILING.fullmatch(name.upper())))


def setting_names() -> list[str]:
    """The variable of every setting."""
    return [f"{_PREFIX}{field.upper()}" for field in Settings.model_fields]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of these names that a name is a mistyped form of; None: of none."""
    return next(iter(get_close_matches(name, list(known), 1, _TYPO)), None)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings.

    Raises:
        ConfigurationError: naming each variable that is wrong and why, or that is mistyped and what it should be.
    """
    _refuse_mistyped()
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"PDPP_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"The settings are not usable: {problems}.") from None


def _refuse_mistyped() -> None:
    """Only what looks like a setting is refused: a setting that is mistyped would go unheard."""
    known = [name.removeprefix(_PREFIX) for name in setting_names()]
    for name in unknown_variables():
        if (meant := nearest(name.removeprefix(_PREFIX), known)) is not None:
            raise ConfigurationError(f"{name} is not a setting; did you mean {_PREFIX}{meant}?")
