"""Settings that are secrets, read from files: `PDPP_X_FILE` names the file that holds `PDPP_X`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pdpp_worker.errors import ConfigurationError

SUFFIX = "_FILE"


def secret_fields(settings: type[BaseSettings]) -> list[str]:
    """The fields whose value is a secret."""
    return [name for name, field in settings.model_fields.items() if _is_secret(field.annotation)]


def file_variables(settings: type[BaseSettings]) -> Iterable[str]:
    """The variables that name files of secrets."""
    prefix = settings.model_config["env_prefix"]
    return [f"{prefix}{name.upper()}{SUFFIX}" for name in secret_fields(settings)]


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that the environment names."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def __call__(self) -> dict[str, Any]:
        """The secrets that are in files, by field.

        Raises:
            ConfigurationError: a file cannot be read, or a setting is given in both ways.
        """
        read = {name: self.get_field_value(self.settings_cls.model_fields[name], name)[0] for name in self._named()}
        return {name: value for name, value in read.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's
        """The text of the field's file, or None; raises as `__call__` does."""
        variable = f"{self.config['env_prefix']}{field_name.upper()}"
        file = self._environment.get(variable + SUFFIX)
        if not file:
            return None, field_name, False
        if self._environment.get(variable):
            raise ConfigurationError(f"{variable} and {variable}{SUFFIX} are both set; leave one of them out.")
        return _text(variable + SUFFIX, Path(file)), field_name, False

    def _named(self) -> list[str]:
        return secret_fields(self.settings_cls)


def _text(variable: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"{variable} names {file}, which cannot be read: {why}.") from None
    if not text:
        raise ConfigurationError(f"{variable} names {file}, which is empty.")
    return text


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))
