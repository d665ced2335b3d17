"""Requests that are read, requests that cannot be, and the packets that are written."""

from __future__ import annotations

import logging
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.serving.udp import MAX_DATAGRAM_BYTES
from provd.wire.tftp_packets import (
    ErrorCode,
    MalformedPacketError,
    Opcode,
    Request,
    encode_data,
    encode_error,
    encode_oack,
    parse_request,
)

ZERO_TERMINATED = st.binary(max_size=12).map(lambda text: text + b"\0")


def parsed(datagram: bytes) -> Request:
    request = parse_request(datagram)
    assert request is not None
    return request


# --- requests


def test_a_read_request_without_options() -> None:
    assert parsed(b"\0\1aastra.cfg\0octet\0") == Request(False, "aastra.cfg", "octet", {})


def test_a_write_request_is_read_too() -> None:
    assert parsed(b"\0\2a\0octet\0") == Request(True, "a", "octet", {})


def test_the_mode_is_lower_case_however_it_was_written() -> None:
    assert parsed(b"\0\1a\0OcTeT\0").mode == "octet"


def test_an_unknown_mode_is_left_to_the_door() -> None:
    assert parsed(b"\0\1a\0mail\0").mode == "mail"


def test_option_names_are_lower_case_however_they_were_written() -> None:
    request = parsed(b"\0\1a\0octet\0BLKSIZE\x001428\0tSize\x000\0")
    assert request.options == {"blksize": "1428", "tsize": "0"}


def test_option_values_stay_as_they_were_written() -> None:
    assert parsed(b"\0\1a\0octet\0x-Vendor\0Cisco\0").options == {"x-vendor": "Cisco"}


def test_a_file_name_is_not_changed() -> None:
    assert parsed(b"\0\1/../A b\\c%41\n\0octet\0").name == "/../A b\\c%41\n"


def test_a_request_of_the_longest_datagram_is_read() -> None:
    assert len(parsed(b"\0\1" + b"a" * 1014 + b"\0octet\0").name) == 1014


@pytest.mark.parametrize(
    "datagram", [b"", b"\0", b"\1", b"\0\0", b"\0\3", b"\0\4\0\1", b"\0\5\0\0no\0", b"\0\6a\x001\0"]
)
def test_other_kinds_of_packets_are_no_requests(datagram: bytes) -> None:
    assert parse_request(datagram) is None


@pytest.mark.parametrize("opcode", [opcode for opcode in range(256) if opcode not in (1, 2)])
def test_only_two_opcodes_are_requests(opcode: int) -> None:
    assert parse_request(bytes([0, opcode]) + b"a\0octet\0") is None


@pytest.mark.parametrize("high_byte", [1, 127, 255])
def test_an_opcode_has_two_bytes(high_byte: int) -> None:
    assert parse_request(bytes([high_byte, 1]) + b"a\0octet\0") is None


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\0",
        b"a",
        b"a\0",
        b"a\0octet",
        "é.cfg\0octet\0".encode(),
        b"a.cfg\0oct\xe9t\0",
    ],
    ids=[
        "nothing",
        "only a zero",
        "unterminated name",
        "no mode",
        "unterminated mode",
        "non-ASCII name",
        "non-ASCII mode",
    ],
)
@pytest.mark.parametrize("opcode", [Opcode.RRQ, Opcode.WRQ], ids=["read", "write"])
def test_a_request_that_cannot_be_read_is_malformed(opcode: Opcode, rest: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        parse_request(bytes([0, opcode]) + rest)


@pytest.mark.parametrize(
    "rest",
    [
        b"multicast\0\0",
        b"\0",
        b"\0\0\0",
        b"\xa5" * 400,
        b"tsize",
        b"tsize\0",
        b"tsize\x000",
        b"ts\xefze\x00512\0",
        b"tsize\x00\xb2\0",
    ],
    ids=[
        "empty value",
        "padding",
        "more padding",
        "rubbish",
        "unterminated option",
        "option without value",
        "unterminated value",
        "non-ASCII option",
        "non-ASCII value",
    ],
)
def test_an_option_that_cannot_be_understood_costs_neither_the_file_nor_the_options_before_it(rest: bytes) -> None:
    """The transfer goes on without it, as with every other value that is no number."""
    request = parsed(b"\0\1a\0octet\0blksize\x00512\0" + rest)
    assert (request.name, request.options) == ("a", {"blksize": "512"})


def test_the_first_eight_options_are_read() -> None:
    names = [f"option-{number}" for number in range(20)]
    request = parsed(b"\0\1a\0octet\0" + b"".join(f"{name}\x001\0".encode() for name in names))
    assert list(request.options) == names[:8]


def test_an_option_without_end_behind_the_last_that_is_read_does_not_matter() -> None:
    assert len(parsed(b"\0\1a\0octet\0" + b"blksize\x00512\0" * 8 + b"rest").options) == 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"\0\1f\0octet\0" + b"a\0b\0" * 253,
        b"\0\1f\0octet\0" + (b"a" * 62 + b"\0") * 16,
        b"\0\1" + b"n" * 1015 + b"\0octet\0",
    ],
    ids=["many options", "long options", "long name"],
)
def test_reading_a_hostile_request_costs_little_more_than_reading_a_phones(datagram: bytes) -> None:
    """A flood of them must not stop the server; 253 options took 50 times as long as none."""
    ordinary = b"\0\1Aastra/00085D237429.cfg\0octet\0tsize\x000\0blksize\x001428\0timeout\x005\0"
    assert len(datagram) <= MAX_DATAGRAM_BYTES
    assert _seconds(datagram) < 15 * _seconds(ordinary)


def _seconds(datagram: bytes) -> float:
    """How long one request takes, when nothing disturbs."""
    return min(timeit.repeat(lambda: parse_request(datagram), number=10, repeat=30))


@settings(deadline=None, derandomize=True, max_examples=500)
@given(
    opcode=st.sampled_from([b"\0\1", b"\0\2"]),
    texts=st.lists(ZERO_TERMINATED, max_size=8).map(b"".join),
    end=st.binary(max_size=8),
)
def test_every_request_is_either_read_or_malformed(opcode: bytes, texts: bytes, end: bytes) -> None:
    try:
        request = parsed(opcode + texts + end)
    except MalformedPacketError:
        return
    assert request.mode == request.mode.lower()
    assert all(name == name.lower() for name in request.options)
    assert request.name.isascii()


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.binary(max_size=64))
def test_every_datagram_is_a_request_or_another_packet_or_malformed(datagram: bytes) -> None:
    try:
        request = parse_request(datagram)
    except MalformedPacketError:
        assert datagram[:2] in (b"\0\1", b"\0\2")
        return
    assert (request is not None) == (datagram[:2] in (b"\0\1", b"\0\2"))


def test_the_library_does_not_log_the_bytes_of_packets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parse_request(b"\0\1a\0octet\0tsize\x000\0")
    assert not caplog.records


# --- packets of the server


def test_an_error_has_code_and_text() -> None:
    assert encode_error(ErrorCode.FILE_NOT_FOUND, "no such file") == b"\0\5\0\1no such file\0"


def test_an_error_may_have_the_code_zero() -> None:
    assert encode_error(ErrorCode.UNDEFINED, "") == b"\0\5\0\0\0"


def test_an_errors_text_is_ascii() -> None:
    assert encode_error(ErrorCode.UNDEFINED, "déjà") == b"\0\5\0\0d?j?\0"


def test_agreed_options_are_encoded_in_their_order() -> None:
    assert encode_oack({"tsize": "10", "blksize": "1428"}) == b"\0\6tsize\x0010\0blksize\x001428\0"


@pytest.mark.parametrize(
    ("block", "header"),
    [(1, b"\0\3\0\1"), (65_535, b"\0\3\xff\xff"), (65_536, b"\0\3\0\0"), (65_537, b"\0\3\0\1")],
)
def test_a_block_number_is_cut_to_sixteen_bits(block: int, header: bytes) -> None:
    assert encode_data(block, b"abc") == header + b"abc"


def test_the_numbers_are_those_of_the_rfcs() -> None:
    assert [int(opcode) for opcode in Opcode] == [1, 2, 3, 4, 5, 6]
    assert [int(code) for code in ErrorCode] == list(range(9))
