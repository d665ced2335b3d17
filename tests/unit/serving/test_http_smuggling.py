"""Requests that two programs on the way could read in two ways are refused, whatever the version of the grammar.

The grammar is llhttp or, in Debian 12, http-parser, which is more tolerant: where the two differ, both must be safe.
"""

from __future__ import annotations

import pytest

from provd.serving.http_parser import Head, HttpError, RequestParser

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


def read(data: bytes) -> list[Head] | int:
    """The heads, or the status of the refusal: the same, whether the bytes arrive at once or one by one."""

    def outcome(*chunks: bytes) -> list[Head] | int:
        parser = RequestParser()
        try:
            return [head for chunk in chunks for head in parser.feed(chunk)]
        except HttpError as error:
            return error.status

    at_once, one_by_one = outcome(data), outcome(*(data[index : index + 1] for index in range(len(data))))
    assert at_once == one_by_one
    return at_once


def request(*fields: bytes, start: bytes = b"GET /a.cfg HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join([start, b"Host: h", *fields, b"", body])


# --- bodies


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 35"],
        [b"Content-Length: 1"],
        [b"content-length: 0000000005"],
        [b"Content-Length: 0", b"Content-Length: 35"],
        [b"Content-Length: 35", b"Content-Length: 0"],
        [b"Content-Length: 35", b"Content-Length: 35"],
        [b"Content-Length: 0, 35"],
        [b"Content-Length: 0 35"],
        [b"Content-Length: -1"],
        [b"Content-Length: -0"],
        [b"Content-Length: +0"],
        [b"Content-Length: 0x0"],
        [b"Content-Length: 1e1"],
        [b"Content-Length: 99999999999999999999999"],
        [b"Content-Length: x"],
        [b"Transfer-Encoding: chunked"],
        [b"transfer-encoding: CHUNKED"],
        [b"Transfer-Encoding:\tchunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding:\r\n chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 35"],
        [b"Content-Length: 35", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 0", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 35", b"Expect: 100-continue"],
        [b"Content-Length: 3", b"Connection: Upgrade", b"Upgrade: websocket"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_request_for_a_file_has_no_body(method: bytes, fields: list[bytes]) -> None:
    assert read(request(*fields, start=method + b" /a.cfg HTTP/1.1", body=SMUGGLED)) == 400


@pytest.mark.parametrize(
    ("field", "body"),
    [(b"Transfer-Encoding : chunked", b"0\r\n\r\n"), (b"Content-Length : 5", b"hello"), (b"X : y", b"")],
    ids=["transfer encoding", "length", "any field"],
)
def test_a_blank_before_the_colon_is_refused(field: bytes, body: bytes) -> None:
    """RFC 9112 section 5.1 wants a 400: programs differ in what they make of such a field."""
    assert read(request(field, body=body)) == 400


@pytest.mark.parametrize(
    "name", [b"Transfer-Encoding\x0b", b"Transfer-Encoding\0", b"\x0cTransfer-Encoding", b""], ids=repr
)
def test_a_name_of_a_field_with_other_characters_is_refused(name: bytes) -> None:
    assert read(request(name + b": chunked", body=b"0\r\n\r\n")) == 400


@pytest.mark.parametrize("value", [b"0", b"00"])
def test_a_body_of_length_zero_is_none(value: bytes) -> None:
    heads = read(request(b"Content-Length: " + value))
    assert isinstance(heads, list)
    assert len(heads) == 1


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS"])
@pytest.mark.parametrize("field", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
def test_files_can_only_be_read(method: bytes, field: bytes) -> None:
    assert read(request(field, start=method + b" /a.cfg HTTP/1.1")) == 405


# --- hosts


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Host: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nhost: i\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost:\r\n\r\n",
        b"GET http://h/ HTTP/1.1\r\n\r\n",
    ],
)
def test_a_request_has_one_host(head: bytes) -> None:
    assert read(head) == 400


def test_two_hosts_are_refused_in_an_old_request_too() -> None:
    assert read(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == 400


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"])
def test_an_old_request_needs_no_host_and_a_host_may_be_empty(head: bytes) -> None:
    assert isinstance(read(head), list)


# --- versions and other protocols


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: h\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: h\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / http/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTPS/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1x\r\nHost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x05\x01\x00",
        b"CONNECT",
        b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"FETCH / HTTP/1.1\r\nHost: h\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=lambda head: repr(head)[:30],
)
def test_what_is_no_request_of_http_1_is_not_answered_with_a_file(head: bytes) -> None:
    assert read(head) in (400, 505, [])


# --- characters that end a line here and not there


@pytest.mark.parametrize(
    "head",
    [
        request(b"X: a\rTransfer-Encoding: chunked"),
        request(b"X: a\0b"),
        request(b"X\0: a"),
        request(b"X"),
        request(b": a"),
        b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\rHost: h\r\r",
    ],
    ids=repr,
)
def test_a_head_with_stray_control_characters_is_refused(head: bytes) -> None:
    assert read(head) == 400


def test_a_folded_field_is_refused_or_read_as_one_value() -> None:
    """RFC 9112 section 5.2 leaves the choice; a second field must not come of it."""
    heads = read(request(b"X: a\r\n Transfer-Encoding: chunked"))
    if isinstance(heads, list):
        assert set(heads[0].headers) == {"host", "x"}
    else:
        assert heads == 400


def test_lines_that_end_with_lf_alone_are_refused_or_read_as_lines() -> None:
    heads = read(b"GET /a.cfg HTTP/1.1\nHost: h\nX: a\n\n")
    if isinstance(heads, list):
        assert [(head.target, set(head.headers)) for head in heads] == [(b"/a.cfg", {"host", "x"})]
    else:
        assert heads == 400


def test_what_follows_a_request_is_a_request_of_its_own() -> None:
    heads = read(request() + SMUGGLED)
    assert isinstance(heads, list)
    assert [head.target for head in heads] == [b"/a.cfg", b"/smuggled"]
