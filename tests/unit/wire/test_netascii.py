"""The netascii transfer mode (RFC 764): what a client reads back is what the file holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.wire.netascii import to_netascii


def from_netascii(content: bytes) -> bytes:
    """What a client on a system where lines end with LF makes of it."""
    return re.sub(b"\r(\n|\0)", lambda match: b"\n" if match[1] == b"\n" else b"\r", content)


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"", b""),
        (b"no line ends", b"no line ends"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\rb", b"a\r\0b"),
        (b"a\r\nb", b"a\r\0\r\nb"),
        (b"\n\n\r\r", b"\r\n\r\n\r\0\r\0"),
        (b"nul \0 and \xff stay", b"nul \0 and \xff stay"),
    ],
)
def test_lines_end_with_cr_lf_and_a_lone_cr_is_cr_nul(content: bytes, sent: bytes) -> None:
    assert to_netascii(content) == sent


contents = st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"a", b"\xff"])).map(b"".join)


@settings(deadline=None, derandomize=True)
@given(contents | st.binary())
def test_every_byte_is_converted_by_itself(content: bytes) -> None:
    converted = {b"\n": b"\r\n", b"\r": b"\r\0"}
    assert to_netascii(content) == re.sub(b"[\r\n]", lambda match: converted[match[0]], content)


@settings(deadline=None, derandomize=True)
@given(contents)
def test_a_client_reads_back_what_the_file_holds(content: bytes) -> None:
    sent = to_netascii(content)
    assert from_netascii(sent) == content
    assert not re.search(rb"\r(?![\n\0])|(?<!\r)\n", sent)
