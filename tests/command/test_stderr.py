"""Standard error of a command reaches the log without its secrets, however they are cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs

from pdpp_worker.command.stderr import ErrorLog
from pdpp_worker.logs import get_logger
from pdpp_worker.secrets import MASK, Redactor

SECRET = "sk-4f9a2c77e1b0d8"


def logged(chunks: Sequence[bytes]) -> list[str]:
    """The lines that are logged of these chunks, by a worker that knows the secret."""
    redactor = Redactor()
    redactor.learn(SecretStr(SECRET))
    with capture_logs() as entries:
        log = ErrorLog(get_logger(), redactor)
        for chunk in (*chunks, b""):
            log(chunk)
    return [entry["line"] for entry in entries]


@given(st.lists(st.integers(1, len(SECRET) - 1), min_size=1, max_size=3, unique=True), st.booleans())
def test_a_secret_over_several_lines_or_chunks_is_masked(cuts: list[int], by_lines: bool) -> None:
    cuts.sort()
    pieces = [SECRET[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    between = "\n" if by_lines else ""
    first, *rest = pieces
    chunks = [f"it is {first}{between}".encode(), *(f"{piece}{between}".encode() for piece in rest), b"\nand more\n"]

    lines = logged(chunks)

    assert MASK in lines[0] or cuts[0] < 4
    assert not any(piece in line for piece in pieces if len(piece) >= 4 for line in lines if cuts[0] >= 4)


def test_a_line_that_only_looks_like_the_beginning_of_one_is_logged() -> None:
    assert logged([b"it is sk-4f\n", b"no more\n"]) == ["it is sk-4f", "no more"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_last_line_is_not_held_back(end: bytes) -> None:
    assert logged([b"it is sk-4f" + end]) == ["it is sk-4f"]
