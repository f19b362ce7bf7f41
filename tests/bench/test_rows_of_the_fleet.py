"""The rows of what a fleet does by the clock, made of the figures of their own commands."""

from __future__ import annotations

from bench.paced import rows as paced
from bench.rest import rows as rest
from bench.table import OURS


def test_paced_connections_stand_beside_what_their_rates_allow() -> None:
    found = {
        "connections": 1000,
        "seconds": 60,
        "shares": {"total": 0.99, "least": 0.97},
        "fleet_cpu_s": 5.0,
        "at_rest_mib": 260.0,
        "at_work_mib": 560.0,
    }

    ours, allowed = paced.ways_of(found)

    assert (ours.job, ours.seconds, ours.cpu_s, ours.peak_rss) == (allowed.job, 60, 5.0, 300 * 2**20)
    assert (allowed.by, allowed.seconds) == (paced.ALLOWED, 59.4)
    assert "0.970" in ours.note


def test_a_fleet_at_rest_its_latency_and_each_command_have_a_row() -> None:
    found = {
        "processes": [12, 12, 13],
        "parts": [{"pss": 2**20}, {"pss": 2**21}],
        "cpu_share": 0.01,
        "doorbell_s": [0.01, 0.02, 0.03],
        "commands_s": {"--help": 0.07},
    }

    at_rest, latency, command = rest.ways_of(found)

    assert (at_rest.by, at_rest.cpu_s, at_rest.peak_rss, at_rest.note) == (OURS, 0.6, 3 * 2**20, "12 processes")
    assert latency.seconds == 0.02
    assert (command.job, command.cpu_s, command.seconds) == ("pdpp-worker --help", 0.07, None)
