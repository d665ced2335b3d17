"""Reading requests from a connection: the same heads however the bytes arrive, and within bounds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.serving.http_parser import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, Head, HttpError, RequestParser

GET = b"GET /Aastra/aastra.cfg?a=b HTTP/1.1\r\nHost: 192.0.2.10:8667\r\nUser-Agent: Aastra6731i\r\n\r\n"
READ_BYTES = 4096
"""What the door reads at once."""

requests = st.builds(
    lambda method, target, version, headers: (
        b"%s %s HTTP/%s\r\nHost: h\r\n%s\r\n"
        % (method, target, version, b"".join(b"%s: %s\r\n" % header for header in headers))
    ),
    st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS"]),
    st.sampled_from([b"/", b"/a.cfg", b"/%41%00?x=%", b"http://h/a", b"/" + b"a" * 300]),
    st.sampled_from([b"1.1", b"1.0"]),
    st.lists(
        st.tuples(
            st.sampled_from([b"User-Agent", b"X-Empty", b"Accept", b"Range", b"If-None-Match"]),
            st.sampled_from([b"", b"Aastra6731i MAC:00-08-5D-2E-EC-FB", b"*/*", b"\xe9", b'"1-2-3"', b"a" * 500]),
        ),
        max_size=6,
    ),
)


def parsed(*chunks: bytes) -> list[Head]:
    parser = RequestParser()
    return [head for chunk in chunks for head in parser.feed(chunk)]


def the_head(data: bytes) -> Head:
    (head,) = parsed(data)
    return head


def refusal(*chunks: bytes) -> int:
    """The status with which bytes are refused."""
    with pytest.raises(HttpError) as caught:
        parsed(*chunks)
    assert caught.value.text
    return caught.value.status


def request(*fields: bytes, start: bytes = b"GET /a.cfg HTTP/1.1", host: bytes = b"Host: h") -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *fields, b"", b""])


# --- heads


def test_a_request_of_a_phone() -> None:
    head = the_head(GET)
    assert (head.method, head.target, head.version) == ("GET", b"/Aastra/aastra.cfg?a=b", "1.1")
    assert head.headers == {"host": "192.0.2.10:8667", "user-agent": "Aastra6731i"}
    assert head.keep_alive is True


def test_names_of_fields_are_lower_case() -> None:
    assert the_head(request(b"USER-Agent: SNOM")).headers["user-agent"] == "SNOM"


def test_a_field_that_comes_twice_is_joined_in_its_order() -> None:
    head = the_head(request(b"X-Forwarded-For: 192.0.2.1", b"x-forwarded-for: 192.0.2.2, 192.0.2.3"))
    assert head.headers["x-forwarded-for"] == "192.0.2.1, 192.0.2.2, 192.0.2.3"


def test_an_empty_field_does_not_swallow_the_next_one() -> None:
    head = the_head(request(b"X-Empty:", b"Range: bytes=0-1"))
    assert (head.headers["x-empty"], head.headers["range"]) == ("", "bytes=0-1")


def test_bytes_beyond_ascii_in_a_field_are_latin_1() -> None:
    assert the_head(request(b"User-Agent: \xe9\xff")).headers["user-agent"] == "éÿ"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_the_method_is_left_to_the_door(method: str) -> None:
    assert the_head(request(start=f"{method} / HTTP/1.1".encode())).method == method


@pytest.mark.parametrize(
    "target", [b"http://pbx.example.org:8667/a.cfg", b"*", b"/../../etc/passwd", b"/%2e%2e/a", b"//a"]
)
def test_the_target_is_left_as_it_was_sent(target: bytes) -> None:
    assert the_head(request(start=b"OPTIONS " + target + b" HTTP/1.1")).target == target


def test_line_ends_before_a_request_are_skipped() -> None:
    assert the_head(b"\r\n\r\n" + GET).target == b"/Aastra/aastra.cfg?a=b"


# --- keeping the connection


@pytest.mark.parametrize(
    ("version", "fields", "keep_alive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: keep-alive"], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"Connection: Close"], False),
        (b"1.1", [b"Connection: keep-alive, close"], False),
        (b"1.1", [b"Connection: keep-alive", b"Connection: close"], False),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: keep-alive"], True),
        (b"1.0", [b"Connection: close"], False),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, fields: list[bytes], keep_alive: bool) -> None:
    assert the_head(request(*fields, start=b"GET / HTTP/" + version)).keep_alive is keep_alive


def test_a_request_for_another_protocol_is_answered_and_ends_the_connection() -> None:
    head = the_head(request(b"Connection: Upgrade", b"Upgrade: websocket") + b"\x81\x00")
    assert (head.target, head.keep_alive) == (b"/a.cfg", False)


def test_requests_before_one_for_another_protocol_do_not_end_the_connection() -> None:
    upgrade = request(b"Connection: Upgrade", b"Upgrade: websocket")
    heads = parsed(request() * 2 + upgrade + b"\x81\x00")
    assert [head.keep_alive for head in heads] == [True, True, False]


def test_a_tunnel_is_left_to_the_door_and_ends_the_connection() -> None:
    head = the_head(request(start=b"CONNECT pbx:443 HTTP/1.1") + b"\x16\x03\x01")
    assert (head.method, head.keep_alive) == ("CONNECT", False)


def test_an_expectation_without_a_body_is_ignored() -> None:
    assert the_head(request(b"Expect: 100-continue")).method == "GET"


def test_bytes_behind_a_request_that_ends_the_connection_are_ignored() -> None:
    """RFC 9112 section 9.6: after "close" no further request is processed, but that one is."""
    assert parsed(request(b"Connection: close") + b"\x16\x03\x01 rubbish\r\n")[0].target == b"/a.cfg"


# --- pieces and pipelines


def test_a_request_may_arrive_byte_by_byte() -> None:
    assert parsed(*(GET[index : index + 1] for index in range(len(GET)))) == [the_head(GET)]


def test_several_requests_may_arrive_at_once() -> None:
    assert [head.target for head in parsed(request(start=b"GET /a HTTP/1.1") + request(start=b"GET /b HTTP/1.1"))] == [
        b"/a",
        b"/b",
    ]


def test_the_fields_of_one_request_are_not_those_of_the_next() -> None:
    first, second = parsed(request(b"Range: bytes=0-1") + request())
    assert (first.headers.get("range"), second.headers.get("range")) == ("bytes=0-1", None)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(requests, min_size=1, max_size=4), st.lists(st.integers(0, 3000), max_size=20))
def test_the_heads_do_not_depend_on_how_the_bytes_arrive(pipeline: list[bytes], cuts: list[int]) -> None:
    """Each request goes on with the connection, so that the next may come."""
    data = b"".join(each.replace(b"HTTP/1.0\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n") for each in pipeline)
    borders = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[start:end] for start, end in itertools.pairwise(borders)]
    whole = parsed(data)
    assert len(whole) == len(pipeline)
    assert parsed(*pieces) == whole
    assert parsed(*(data[index : index + 1] for index in range(len(data)))) == whole


@settings(deadline=None, derandomize=True, max_examples=500)
@given(
    st.lists(
        st.sampled_from(
            [b"GET ", b"/", b"* ", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: h", b"Host:", b" ", b":", b"\0"]
        )
        | st.binary(max_size=6),
        max_size=16,
    ).map(b"".join)
)
def test_any_bytes_give_heads_or_a_status(data: bytes) -> None:
    try:
        heads = parsed(data)
    except HttpError as error:
        status = error.status
        heads = []
        assert status in (400, 405, 414, 431, 505)
    assert all(head.method and head.target for head in heads)


# --- bounds


def test_a_target_may_be_as_long_as_the_limit() -> None:
    target = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert the_head(request(start=b"GET " + target + b" HTTP/1.1")).target == target
    assert refusal(request(start=b"GET " + target + b"a HTTP/1.1")) == 414


def test_a_request_may_have_as_many_fields_as_the_limit() -> None:
    fields = [b"X: a"] * (MAX_HEADERS - 1)
    assert len(the_head(request(*fields)).headers) == 2
    assert refusal(request(*fields, b"X: a")) == 431


def test_each_request_has_the_limits_for_itself() -> None:
    big = request(*([b"X: " + b"a" * 100] * 30))
    assert len(parsed(*([big] * 20))) == 20


@pytest.mark.parametrize(
    "piece", [b"GET /" + b"a" * MAX_HEAD_BYTES, b"\r\n" * MAX_HEAD_BYTES, GET[:-2] + b"X: " + b"a" * 9000]
)
def test_a_head_that_never_ends_is_refused(piece: bytes) -> None:
    pieces = [piece[index : index + READ_BYTES] for index in range(0, len(piece), READ_BYTES)]
    assert refusal(*pieces) in (414, 431)
    assert refusal(*(piece[index : index + 1] for index in range(len(piece)))) in (414, 431)


def test_a_head_above_the_limit_is_refused_however_it_arrives() -> None:
    data = request(*([b"X: " + b"a" * 500] * 20))
    assert len(data) > MAX_HEAD_BYTES
    assert refusal(*(data[index : index + 1] for index in range(len(data)))) == 431
    assert refusal(*(data[index : index + READ_BYTES] for index in range(0, len(data), READ_BYTES))) == 431
