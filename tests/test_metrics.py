"""Each process of a machine answers Prometheus on a port of its own."""

from __future__ import annotations

import socket
from urllib.request import urlopen

from pdpp_worker import metrics

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


def test_processes_of_one_machine_take_ports_of_their_own() -> None:
    first = free_port()

    ports = [metrics.serve(LOOPBACK, first) for _ in range(3)]

    assert len(set(ports)) == 3
    for port in ports:
        with urlopen(f"http://{LOOPBACK}:{port}/metrics") as answer:
            assert b"pdpp_requests_admitted_total" in answer.read()


def test_an_address_of_another_machine_costs_no_work() -> None:
    assert metrics.serve("192.0.2.1", free_port()) is None
