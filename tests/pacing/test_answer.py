"""An answer is read within bounds, whatever it unpacks to; what is whole arrives byte by byte."""

from __future__ import annotations

import gzip
import resource
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.answer import LARGEST_ANSWER_BYTES, TooLargeError, read_whole
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.typed import TypedTransport

MB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
    "gzip, gzip": lambda data: gzip.compress(gzip.compress(data)),
}


class Pieces(httpx.SyncByteStream):
    """A body in pieces; says how much of it was taken and whether it was let go."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.taken += len(piece)
            yield piece

    def close(self) -> None:
        self.is_closed = True


def answer(pieces: Iterator[bytes], encoding: str = "") -> httpx.Response:
    headers = {"content-encoding": encoding} if encoding else {}
    return httpx.Response(200, headers={**headers, "x-kept": "1"}, stream=Pieces(pieces))


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(response: httpx.Response, largest: int = MB) -> httpx.Response:
    return read_whole(response, time.monotonic() + 60, largest)


class TestUnpacking:
    """The bytes that arrive are those that were sent."""

    @given(st.sampled_from(sorted(PACK)), st.binary(max_size=3000), st.integers(1, 500), st.integers(0, 100))
    def test_every_coding_in_pieces_of_any_size(self, encoding: str, data: bytes, size: int, repeats: int) -> None:
        data *= repeats

        got = read(answer(cut(PACK[encoding](data), size), encoding))

        assert got.content == data
        assert got.headers["x-kept"] == "1"
        assert "content-encoding" not in got.headers

    @given(st.binary(max_size=3000), st.integers(1, 500))
    def test_deflate_without_its_header(self, data: bytes, size: int) -> None:
        assert read(answer(cut(raw_deflate(data), size), "deflate")).content == data

    @pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_700, 131_100])
    def test_the_last_bytes_of_a_bounded_piece(self, size: int) -> None:
        assert read(answer(iter([raw_deflate(b"a" * size)]), "deflate")).content == b"a" * size

    def test_an_answer_without_a_body_need_not_be_packed(self) -> None:
        assert read(answer(iter(()), "gzip")).content == b""

    @given(st.sampled_from(["gzip", "deflate", "deflate, gzip"]), st.data())
    def test_a_body_that_ends_in_the_middle_is_no_answer(self, encoding: str, data: st.DataObject) -> None:
        whole = PACK[encoding](b"all of it")
        kept = data.draw(st.integers(1, len(whole) - 1))

        with pytest.raises(httpx.DecodingError):
            read(answer(iter([whole[:kept]]), encoding))

    @given(st.binary(min_size=1), st.sampled_from(["gzip", "deflate", "gzip, gzip"]))
    def test_junk_is_told_as_junk(self, junk: bytes, encoding: str) -> None:
        with suppress(httpx.DecodingError):
            read(answer(iter([junk]), encoding))

    @pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip", ", ".join(["gzip"] * 9999)])
    def test_a_coding_that_was_not_asked_for_is_not_taken_for_content(self, encoding: str) -> None:
        with pytest.raises(httpx.DecodingError, match="not asked for"):
            read(answer(iter([b"x"]), encoding))


def zeros(size: int) -> bytes:
    """A few thousandths of it, in one piece, that unpack to so many bytes. One megabyte is packed, and repeated."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    megabyte = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(size // MB):
        checksum = zlib.crc32(bytes(MB), checksum)
    head = b"\x1f\x8b\x08" + bytes(7)
    return head + megabyte * (size // MB) + packer.flush() + struct.pack("<II", checksum, size)


class TestBounds:
    """Nothing that an answer can do takes more than the bound."""

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "deflate, gzip"])
    def test_unpacked_bytes(self, encoding: str) -> None:
        packed = PACK[encoding](bytes(64 * MB))
        response = answer(iter([packed]), encoding)

        with pytest.raises(TooLargeError):
            read(response)

        assert response.stream.is_closed  # type: ignore[union-attr]

    def test_memory_while_one_piece_is_unpacked(self) -> None:
        packed = zeros(64 * MB)
        tracemalloc.start()

        with pytest.raises(TooLargeError):
            read(answer(iter([packed]), "gzip"))

        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * MB

    @given(st.integers(-2, 2))
    def test_the_bound_is_kept_exactly(self, more: int) -> None:
        size = 100_000
        response = answer(iter([gzip.compress(bytes(size + more))]), "gzip")

        if more > 0:
            with pytest.raises(TooLargeError):
                read(response, size)
        else:
            assert len(read(response, size).content) == size + more

    def test_a_body_without_end(self) -> None:
        def endless() -> Iterator[bytes]:
            while True:
                yield bytes(65536)

        response = answer(endless())

        with pytest.raises(TooLargeError):
            read(response)

        assert response.stream.taken < 2 * MB  # type: ignore[union-attr]

    @pytest.mark.parametrize("whole", [gzip.compress(b""), zeros(0)], ids=["gzip", "zeros"])
    def test_a_packed_body_that_goes_on_after_its_end(self, whole: bytes) -> None:
        response = answer(cut(whole + bytes(64 * MB), 65536), "gzip")

        with pytest.raises(TooLargeError):
            read(response)

    def test_time(self) -> None:
        response = answer(iter([b"x"]))

        with pytest.raises(httpx.ReadTimeout):
            read_whole(response, time.monotonic() - 1, MB)

    def test_time_passes_while_a_packed_body_says_nothing(self) -> None:
        response = answer(iter([gzip.compress(b"")[:10]]), "gzip")

        with pytest.raises(httpx.ReadTimeout):
            read_whole(response, time.monotonic() - 1, MB)


@contextmanager
def saying(head: bytes, body: Iterator[bytes] | list[bytes]) -> Iterator[str]:
    """The URL of a server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def say() -> None:
            caller, _ = listener.accept()
            with caller, suppress(OSError):
                caller.recv(65536)
                caller.sendall(head)
                for piece in body:
                    caller.sendall(piece)

        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def client_of(url: str) -> ProviderClient:
    return ProviderClient(TypedTransport(httpx.HTTPTransport()), base_url=url, timeout_s=5.0)


def test_a_megabyte_that_unpacks_to_a_gigabyte_takes_no_more_than_the_bound() -> None:
    packed = zeros(1024 * MB)
    assert len(packed) < 2 * MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    with saying(head, [packed]) as url, client_of(url) as client, pytest.raises(UpstreamError) as caught:
        client.get("/things")

    assert (caught.value.reason, str(caught.value)) == (
        "parse_failed",
        "GET /things: the answer unpacks to more than 100 times its bytes",
    )

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < LARGEST_ANSWER_BYTES * 1.5


def test_an_answer_that_is_large_and_no_bomb_is_given_up_at_the_bound() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * MB

    with (
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", endless()) as url,
        client_of(url) as client,
        pytest.raises(UpstreamError, match=f"larger than {LARGEST_ANSWER_BYTES} bytes"),
    ):
        client.get("/things")


def test_headers_without_end_are_given_up() -> None:
    def more() -> Iterator[bytes]:
        while True:
            yield b"x-more: %s\r\n" % (b"y" * 60000)

    with (
        saying(b"HTTP/1.1 200 OK\r\n", more()) as url,
        client_of(url) as client,
        pytest.raises(UpstreamError) as caught,
    ):
        client.get("/")

    assert caught.value.reason == "network_error"


def test_only_what_can_be_unpacked_in_bounds_is_asked_for() -> None:
    asked: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    transport = TypedTransport(httpx.MockTransport(answered))
    ProviderClient(transport, base_url="https://site.example", headers={"accept-encoding": "br"}, timeout_s=1).get("/")

    assert asked[0].headers["accept-encoding"] == "gzip, deflate"
