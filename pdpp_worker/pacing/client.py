"""The HTTP client that a connector is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from pdpp_worker.errors import ShapeError
from pdpp_worker.pacing.origin import OriginTransport
from pdpp_worker.pacing.outcomes import network_errors


class ProviderClient(httpx.Client):
    """Stays at the origin of its `base_url` (see `OriginTransport`), redirects included; its failures are typed.

    `inner` sends; `timeout_s` bounds every pause of a connection; `on_request` sees each request before it is sent.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        *,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        on_request: Sequence[Callable[[httpx.Request], None]] = (),
        is_practice: bool = False,
    ) -> None:
        super().__init__(
            transport=OriginTransport(inner, base_url, is_practice=is_practice),
            base_url=base_url,
            headers=headers,
            timeout=timeout_s,
            follow_redirects=True,
            # The environment's proxies would lead around the pacing.
            trust_env=False,
            event_hooks={"request": list(on_request)},
        )

    def build_request(self, *asked: Any, **options: Any) -> httpx.Request:
        """Make a request; raises ProviderError where a text of an answer, as half a surrogate pair, fits into none."""
        try:
            return super().build_request(*asked, **options)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ShapeError(f"an answer holds what cannot be asked for: {type(error).__name__}") from None

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request; raises ProviderError also where the client itself gives up, as on redirects without end."""
        with network_errors(request):
            return super().send(request, **options)
