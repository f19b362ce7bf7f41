"""A client is signed in at one origin: no cookie and no header of it ever reaches another, whatever an answer says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.browser.browser_transport import BrowserTransport
from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.typed import TypedTransport

SECRET = "s3cret-value"
HOME = "https://site.example/api"
SIGN_IN: dict[str, Callable[[httpx.Client], object]] = {
    "a cookie": lambda client: client.cookies.set("session", SECRET),
    "a cookie for every host": lambda client: client.cookies.set("session", SECRET, domain="", path="/"),
    "a cookie header": lambda client: client.headers.update({"cookie": f"d={SECRET}"}),
    "an authorization": lambda client: client.headers.update({"authorization": f"Bearer {SECRET}"}),
    "a key of the site's own": lambda client: client.headers.update({"x-api-key": SECRET}),
    "a password": lambda client: setattr(client, "auth", ("me", SECRET)),
}

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.sampled_from(["site.example", "127.0.0.1", "[::1]", "localhost", "site.example."]),
    st.builds("{}.example".format, labels),
    st.builds("{}.site.example".format, labels),
    st.builds("site.example.{}".format, labels),
    st.builds("site.example@{}".format, labels),
)
ports = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
targets = st.one_of(
    st.builds("{}://{}{}/there?token=x".format, st.sampled_from(["http", "https", "ftp", "HTTPS"]), hosts, ports),
    st.builds("//{}{}/there".format, hosts, ports),
    st.sampled_from(["/there", "there", "?page=2", "file:///etc/passwd", "data:,x", "javascript:x", "\\\\evil\\x"]),
    st.text(max_size=40).filter(str.isascii).filter(str.isprintable),
)


class Provider(httpx.BaseTransport):
    """Answers what a test says, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answers.pop(0) if self._answers else httpx.Response(200)

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.asked]


def redirect(location: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"location": location})


def client_of(provider: Provider, base_url: str = HOME, headers: dict[str, str] | None = None) -> ProviderClient:
    return ProviderClient(provider, base_url=base_url, headers=headers, timeout_s=1.0)


class TestSignedIn:
    """With a base_url."""

    @given(st.sampled_from(sorted(SIGN_IN)), targets, st.sampled_from([301, 302, 303, 307, 308]), st.booleans())
    def test_whatever_a_redirect_says_credentials_stay_at_home(
        self, way: str, target: str, status: int, posts: bool
    ) -> None:
        provider = Provider(redirect(target, status))
        client = client_of(provider)
        SIGN_IN[way](client)

        with suppress(UpstreamError):
            client.request("POST" if posts else "GET", "/here", content=SECRET if posts else None)

        assert {(request.url.scheme, request.url.host, request.url.port) for request in provider.asked} == {
            ("https", "site.example", None)
        }

    @given(st.sampled_from(sorted(SIGN_IN)), targets)
    def test_nor_do_they_follow_an_address_out_of_an_answer(self, way: str, target: str) -> None:
        provider = Provider()
        client = client_of(provider)
        SIGN_IN[way](client)

        with suppress(UpstreamError, httpx.InvalidURL):
            client.get(target)

        assert all(request.url.host == "site.example" for request in provider.asked)
        assert all((request.url.scheme, request.url.port) == ("https", None) for request in provider.asked)

    @pytest.mark.parametrize("target", ["http://site.example/x", "https://evil.example/x", "file:///etc/passwd"])
    def test_a_refused_redirect_names_the_two_places_and_nothing_else(self, target: str) -> None:
        client = client_of(Provider(redirect(f"{target}?token={SECRET}#{SECRET}")))

        with pytest.raises(UpstreamError) as caught:
            client.get("/here")

        assert str(caught.value).startswith("GET /api/here leads away from https://site.example to ")
        assert SECRET not in str(caught.value)
        assert "/x" not in str(caught.value)

    def test_a_redirect_at_home_is_followed_with_the_credentials(self) -> None:
        provider = Provider(redirect("/there"))
        client = client_of(provider, headers={"authorization": f"Bearer {SECRET}"})

        client.get("/here")

        assert provider.urls == ["https://site.example/api/here", "https://site.example/there"]
        assert all(SECRET in request.headers["authorization"] for request in provider.asked)

    def test_the_usual_port_is_the_same_place(self) -> None:
        provider = Provider(redirect("https://site.example:443/there"))

        client_of(provider).get("/here")

        assert provider.urls[1] == "https://site.example/there"

    def test_an_address_that_the_owner_set_to_http_stays_possible_for_itself(self) -> None:
        provider = Provider(redirect("http://127.0.0.1:8000/there"))

        client_of(provider, "http://127.0.0.1:8000").get("/here")

        assert len(provider.asked) == 2

    @pytest.mark.parametrize("target", ["https://127.0.0.1:8000/", "http://127.0.0.1:8001/", "http://localhost:8000/"])
    def test_and_for_nothing_else(self, target: str) -> None:
        provider = Provider(redirect(target))

        with pytest.raises(UpstreamError):
            client_of(provider, "http://127.0.0.1:8000").get("/here")

        assert len(provider.asked) == 1

    @pytest.mark.parametrize("location", ["/here", "http://[", "https://site.example:99999999/"])
    def test_redirects_that_lead_nowhere_are_typed(self, location: str) -> None:
        client = ProviderClient(httpx.MockTransport(lambda _: redirect(location)), base_url=HOME, timeout_s=1.0)

        with pytest.raises(UpstreamError):
            client.get("/here")

    def test_a_redirect_may_be_read_instead_of_followed(self) -> None:
        client = client_of(Provider(redirect("https://files.example/signed")))

        answer = client.get("/file", follow_redirects=False)

        assert answer.headers["location"] == "https://files.example/signed"


class FakeBrowser:
    """Answers the first request with a redirect, as the browser hands one back."""

    def __init__(self, location: str) -> None:
        self._head = {"status": 302, "headers": [["location", location]], "cookies": ""}
        self.asked: list[str] = []

    def send(self, request: httpx.Request, on_sent: Callable[[], None]) -> Iterator[dict[str, object]]:
        self.asked.append(str(request.url))
        on_sent()
        yield self._head


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://site.example/", "https://mail.example/", "about:blank"]
)
def test_the_owners_browser_is_led_away_no_more_than_any_other_road(target: str) -> None:
    browser = FakeBrowser(target)
    transport = TypedTransport(BrowserTransport(browser))  # type: ignore[arg-type]

    with pytest.raises(UpstreamError):
        ProviderClient(transport, base_url=HOME, timeout_s=1.0).get("/here")

    assert browser.asked == ["https://site.example/api/here"]


class TestBare:
    """Without a base_url."""

    def test_any_https_address_may_be_read_and_redirects_may_lead_on(self) -> None:
        provider = Provider(redirect("https://two.example/x?signature=1"))

        client_of(provider, "").get("https://one.example/x")

        assert provider.urls == ["https://one.example/x", "https://two.example/x?signature=1"]

    @pytest.mark.parametrize("way", SIGN_IN)
    def test_nothing_goes_out_that_carries_anything(self, way: str) -> None:
        provider = Provider()
        client = client_of(provider, "")
        SIGN_IN[way](client)

        with pytest.raises(UpstreamError, match="carries nothing") as caught:
            client.get("https://one.example/x")

        assert provider.asked == []
        assert SECRET not in str(caught.value)

    def test_a_cookie_that_a_stranger_sets_is_not_kept(self) -> None:
        provider = Provider(httpx.Response(200, headers={"set-cookie": "seen=1; Path=/"}))
        client = client_of(provider, "")

        client.get("https://one.example/x")
        client.get("https://one.example/y")

        assert "cookie" not in provider.asked[1].headers

    @pytest.mark.parametrize("target", ["http://one.example/", "file:///etc/passwd", "ftp://one.example/"])
    def test_no_other_scheme_is_asked(self, target: str) -> None:
        provider = Provider(redirect(target))

        with pytest.raises(UpstreamError, match="no https address"):
            client_of(provider, "").get("https://one.example/x")

        assert len(provider.asked) == 1

    def test_a_practice_provider_is_asked_over_plain_http(self) -> None:
        provider = Provider(redirect("http://127.0.0.1:8000/signed"))

        with pytest.raises(UpstreamError):
            client_of(provider, "").get("http://127.0.0.1:8000/file")
        ProviderClient(provider, timeout_s=1.0, is_practice=True).get("http://127.0.0.1:8000/file")

        assert provider.urls == ["http://127.0.0.1:8000/file", "http://127.0.0.1:8000/signed"]

    def test_nothing_is_written(self) -> None:
        provider = Provider()

        with pytest.raises(UpstreamError):
            client_of(provider, "").post("https://one.example/x")

        assert provider.asked == []
