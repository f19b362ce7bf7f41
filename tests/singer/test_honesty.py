"""The word of a tap, and its silence, is kept account of like that of any connector."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pdpp_worker.singer.describe import catalog_option
from tests.singer.conftest import Taps

SAMPLE = Path(__file__).parent / "tap_sample.py"
CATALOG: dict[str, Any] = {}
BOTH = ["Main-letters", "Main-numbers"]


@pytest.fixture(scope="module", autouse=True)
def catalog() -> None:
    """The streams that the sample tap can supply."""
    CATALOG.update(json.loads(_discovered()))


def _discovered() -> str:
    asked = subprocess.run([sys.executable, SAMPLE, "--discover"], capture_output=True, check=True, text=True)
    return asked.stdout


def sample(taps: Taps, how: str = "well", streams: list[str] | None = None) -> dict[str, Any]:
    """Run the sample tap. How it behaves is no setting of the connection: with another one it would start anew."""
    taps.folder.with_name("how").write_text(how)
    config = {"how_file": str(taps.folder.with_name("how"))}
    taps.connect([sys.executable, str(SAMPLE)], config, CATALOG, streams or BOTH)
    return taps.run()


def states(taps: Taps) -> list[dict[str, Any]]:
    """The state that the tap was handed, run by run."""
    with capture_logs() as logs:
        taps.run()
    return [json.loads(entry["line"])["state"] for entry in logs if '"state"' in str(entry.get("line"))]


def test_a_tap_that_ends_well_is_collected_whole(taps: Taps) -> None:
    run = sample(taps)

    assert (run["status"], run["records_flushed"]) == ("succeeded", 6)
    assert set(taps.held("main_letters")) == {"0", "1", "2"}
    assert set(taps.cursors()) == {"main_letters", "main_numbers"}


def test_it_is_handed_its_own_state_the_next_time(taps: Taps) -> None:
    sample(taps)

    assert states(taps) == [{"bookmarks": {"Main-letters": 3, "Main-numbers": 3}, "seen_at": "2026"}]
    assert set(taps.held("main_letters")) == {"0", "1", "2", "3", "4", "5"}


def test_a_tap_that_dies_leaves_its_records_and_a_gap_for_what_it_had_not_finished(taps: Taps) -> None:
    run = sample(taps, "dies")

    assert (run["status"], run["records_flushed"]) == ("partially_completed", 6)
    assert [(gap["stream"], gap["reason"]) for gap in taps.gaps()] == [("main_numbers", "source_partition_failed")]
    assert {name: json.loads(text)["bookmark"] for name, text in taps.cursors().items()} == {"main_letters": 3}


def test_what_the_streams_share_moves_only_when_all_of_them_were_walked(taps: Taps) -> None:
    sample(taps)
    sample(taps, "dies")

    assert states(taps) == [{"bookmarks": {"Main-letters": 6, "Main-numbers": 3}, "seen_at": "2026"}]


def test_a_stream_that_is_new_takes_nothing_for_granted(taps: Taps) -> None:
    sample(taps, streams=["Main-letters"])
    config = {"how_file": str(taps.folder.with_name("how"))}
    taps.connect([sys.executable, str(SAMPLE)], config, CATALOG, BOTH)

    assert states(taps) == [{"bookmarks": {"Main-letters": 3}}]


def test_a_stream_that_the_tap_never_mentions_is_said_to_be_missing(taps: Taps) -> None:
    run = sample(taps, streams=[*BOTH, "Main-silent"])

    assert run["status"] == "partially_completed"
    assert [(gap["stream"], gap["last_error"]) for gap in taps.gaps()] == [
        ("main_silent", "the tap was asked for this stream and never mentioned it")
    ]
    assert set(taps.cursors()) == {"main_letters", "main_numbers"}


def test_a_stream_that_nobody_asked_for_is_left_out(taps: Taps) -> None:
    run = sample(taps, "strays")

    assert (run["status"], run["records_emitted"]) == ("succeeded", 6)


def test_rows_without_key_properties_go_by_their_content(taps: Taps) -> None:
    sample(taps, "keyless")
    before = set(taps.held("main_letters"))
    run = sample(taps, "keyless")

    assert len(before) == 3
    assert all(key.startswith("content:") for key in before)
    assert run["status"] == "succeeded"


def test_a_key_that_the_tap_names_by_a_text_is_one_field(taps: Taps) -> None:
    sample(taps, "one key")

    assert set(taps.held("main_letters")) == {"0", "1", "2"}


def test_the_oldest_taps_get_their_catalog_by_the_option_that_they_know(taps: Taps, tmp_path: Path) -> None:
    tap = tmp_path / "tap-oldest"
    tap.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SAMPLE}" oldest "$@"\n')
    tap.chmod(0o755)
    option = catalog_option(str(tap), as_fleet_user=True)
    taps.connect([str(tap)], {"how": "well"}, CATALOG, BOTH, taken_by=option)

    run = taps.run()

    assert (option, catalog_option(str(tmp_path / "none"))) == ("properties", "catalog")
    assert (run["status"], run["records_flushed"]) == ("succeeded", 6)


def test_a_number_keeps_its_digits(taps: Taps) -> None:
    sample(taps, "exact")

    [row] = taps.rows("SELECT data->>'x' AS x, raw FROM records WHERE stream = 'main_letters' AND key = '0'")
    assert (row["x"], row["raw"]) == ("12345678901234567890.123456789", None)


def test_a_time_without_a_zone_is_taken_for_utc(taps: Taps) -> None:
    run = sample(taps, "naive time")

    assert (run["status"], run["records_emitted"]) == ("succeeded", 7)


def test_a_catalog_of_the_oldest_form_will_do(taps: Taps) -> None:
    streams = [{**one, "metadata": None} for one in CATALOG["streams"]]
    taps.connect([sys.executable, str(SAMPLE)], {"how": "well"}, {"streams": streams}, BOTH)

    assert taps.run()["records_emitted"] == 6


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("babbles", "a line is no Singer message"),
        ("batches", "of type 'BATCH'"),
        ("wordy state", "a STATE lacks what it must have"),
    ],
)
def test_what_cannot_be_followed_ends_the_tap(taps: Taps, how: str, why: str) -> None:
    run = sample(taps, how)

    assert run["status"] == "partially_completed"
    assert run["records_flushed"] == 6
    assert "main_numbers" in {gap["stream"] for gap in taps.gaps()}


def test_a_row_that_breaks_its_schema_is_a_rejection(taps: Taps) -> None:
    run = sample(taps, "breaks schema")

    assert (run["status"], run["records_rejected"]) == ("partially_completed", 1)


def test_a_row_that_the_tap_says_is_gone_is_deleted(taps: Taps) -> None:
    sample(taps)
    sample(taps, "deletes")

    assert "0" not in taps.held("main_letters")


def test_rows_that_a_new_version_of_a_table_lacks_are_kept(taps: Taps) -> None:
    run = sample(taps, "activates")

    assert run["status"] == "succeeded"
    assert set(taps.held("main_letters")) == {"0", "1", "2"}


def test_secrets_lie_in_a_file_for_their_owner_alone_that_has_no_name(
    taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-en-123456")
    config = {"how": "well", "api_token": "example"}
    taps.connect([sys.executable, str(SAMPLE)], config, CATALOG, BOTH, api_token="env:MY_TOKEN")

    with capture_logs() as logs:
        taps.run()

    [files, process] = [json.loads(entry["line"]) for entry in logs if str(entry.get("line")).startswith("{")]
    assert files["mode"] == 0o600
    assert files["config"].startswith("/dev/fd/")
    assert "tok-en-123456" not in json.dumps(process)
    assert not [name for name in process["environment"] if name.startswith(("SINGER", "PDPP", "PYTHONPATH"))]
    assert "tok-en-123456" not in (taps.folder / "manifest.json").read_text()
    assert "example" not in (taps.folder / "manifest.json").read_text()
