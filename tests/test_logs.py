"""Logs are for anybody's eyes."""

from __future__ import annotations

import logging

import httpx
import pytest

from pdpp_worker import logs
from pdpp_worker.settings import Settings


def test_the_url_of_a_request_is_not_logged(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    logs.configure(settings)
    caplog.set_level(logging.DEBUG)

    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get("http://provider.example/items", params={"api_key": "correct-horse"})

    assert "correct-horse" not in caplog.text
