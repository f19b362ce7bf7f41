"""A number that no command can work with is refused on the command line, in one sentence, whichever option takes it."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from docs._reference.commands import commands
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import schedule_rules
from pdpp_worker.owner.durations import parse_duration
from pdpp_worker.settings import positive_ms

ODD = ("inf", "-inf", "nan", "1e400", "-1", "9" * 30, "9" * 5000, "x", "", "0x10", "1e9")
COMMANDS = dict(commands())
NUMBERS = [
    (name, option.opts[0])
    for name, command in COMMANDS.items()
    for option in command.params
    if option.type_descriptor.annotation in (int, float) or option.opts[0] == "--gap"
]


def test_there_are_numbers_to_try() -> None:
    assert {("recover", "--seconds"), ("recover", "--gap"), ("runs show", "run_id")} <= set(NUMBERS)


@pytest.mark.parametrize(("name", "option"), NUMBERS, ids=str)
def test_an_odd_number_is_refused_by_its_option(name: str, option: str) -> None:
    for odd in ODD:
        with pytest.raises(typer.BadParameter):
            COMMANDS[name].make_context(name, [option, odd] if option.startswith("--") else ["--", odd])


@given(st.one_of(st.text("0123456789smhdw .e-", max_size=400), st.sampled_from(ODD)))
def test_a_duration_is_finite_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ConfigurationError:
        return
    assert 0 < seconds < math.inf
    with suppress(ConfigurationError):
        schedule_rules.at_interval(seconds)


@given(st.one_of(st.text("0123456789.e-+infa", max_size=400), st.sampled_from(ODD)))
def test_a_rate_ceiling_is_finite_or_refused(text: str) -> None:
    with suppress(ConfigurationError):
        assert 0 < positive_ms("the ceiling", text) < math.inf
