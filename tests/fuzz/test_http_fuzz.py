"""Hostile requests harm neither the phones' HTTP door nor its phones."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.guard import Guard, bounded, corpus, mutated

ENTRIES = corpus("http")
STATUSES = {b"200", b"206", b"304", b"400", b"403", b"404", b"405", b"412", b"414", b"416", b"431", b"505"}

words = st.sampled_from(
    ["good", "", ".", "..", "%2e%2e", "%2f", "%5c", "%00", "%", "Aastra", "00085D0000AF.cfg", "tftpboot-evil", "x",
     "secret", ".hidden", "link-outside", "folder-outside", "passwd"]
)  # fmt: skip
targets = st.builds(
    lambda start, parts, query: start + "/".join(parts) + query,
    st.sampled_from(["/", "/", "/", "//", "http://x/", "", "*"]),
    st.lists(words, max_size=8) | st.lists(st.text(max_size=10), max_size=3),
    st.sampled_from(["", "?", "?x=../y", "#x"]),
)
values = st.sampled_from(
    ["0", "5", "-1", "chunked", "close", "keep-alive", "Upgrade", "h2c", "bytes=0-5", "bytes=-3", '"x"', "*",
     "100-continue", "Sun, 06 Nov 1994 08:49:37 GMT", "Aastra6731i MAC:00-08-5D-00-00-AF V:3.3.1.4305-SIP",
     "192.0.2.1, 192.0.2.2"]
) | st.text(max_size=30)  # fmt: skip
names = st.sampled_from(
    ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Range", "If-Range", "If-None-Match",
     "If-Modified-Since", "If-Match", "User-Agent", "X-Forwarded-For", "Expect", "Trailer", "TE"]
) | st.text(max_size=10)  # fmt: skip
requests = st.builds(
    lambda method, target, version, fields, end, body: (
        end.join([f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in fields), "", ""]) + body
    ).encode("utf-8", "replace"),
    st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "CONNECT", "G"]),
    targets,
    st.sampled_from(["1.1", "1.1", "1.0", "2.0", "0.9", ""]),
    st.lists(st.tuples(names, values), max_size=6),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"]),
    st.sampled_from(["", "", "0\r\n\r\n", "12345", "GET /tftpboot-evil/x HTTP/1.1\r\nHost: x\r\n\r\n"]),
)
pieces = mutated(list(ENTRIES.values())) | requests | st.binary(max_size=600)
endings = st.sampled_from(["end", "end", "end", "leave"])


def assert_answers(answer: bytes) -> None:
    """Every status line in the answer is one that the door may send."""
    statuses = re.findall(rb"HTTP/1\.1 (\d{3}) [\w -]+\r\nDate: ", answer)
    assert set(statuses) <= STATUSES


@pytest.mark.parametrize("name", ENTRIES)
def test_each_request_of_the_corpus_is_harmless(guard: Guard, name: str) -> None:
    assert_answers(guard.http_exchange([ENTRIES[name]]))


def test_requests_of_the_corpus_byte_by_byte_are_harmless(guard: Guard) -> None:
    for content in list(ENTRIES.values())[::5]:
        short = content[:200]
        assert_answers(guard.http_exchange([short[index : index + 1] for index in range(len(short))]))
    guard.remember_memory()


@given(content=pieces, ending=endings)
@bounded(600)
def test_any_request_is_harmless(guard: Guard, content: bytes, ending: str) -> None:
    assert_answers(guard.http_exchange([content], ending))


@given(contents=st.lists(pieces, min_size=2, max_size=6), ending=endings)
@bounded(300)
def test_any_sequence_of_pieces_is_harmless(guard: Guard, contents: list[bytes], ending: str) -> None:
    assert_answers(guard.http_exchange(contents, ending))


@given(content=pieces, cuts=st.lists(st.integers(0, 300), max_size=5))
@bounded(300)
def test_good_requests_around_any_bytes_are_answered(guard: Guard, content: bytes, cuts: list[int]) -> None:
    good = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n"
    stream = good + content + good
    places = [0, *sorted(cuts), len(stream)]
    guard.http_exchange([stream[start:end] for start, end in pairwise(places)])


def test_phones_boot_as_before(guard: Guard) -> None:
    guard.assert_good_http()
    guard.assert_good_tftp()
