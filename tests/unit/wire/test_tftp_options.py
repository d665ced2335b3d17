"""Which options of a request are agreed to, and with which values (RFC 2347, 2348, 2349, 7440)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.wire.tftp_options import Negotiated, negotiate

GARBAGE = ["", " ", "abc", "-1", "+512", "5.12", "0x200", "512 ", " 512", "512\n", "5 12", "1e3", "٥١٢", "9" * 19]


def agreed(size_bytes: int = 1000, max_blksize: int = 65464, max_windowsize: int = 16, **options: str) -> Negotiated:
    return negotiate(options, size_bytes, max_blksize, max_windowsize)


def test_without_options_nothing_is_answered() -> None:
    assert agreed() == Negotiated(blksize=512, windowsize=1, timeout_s=None, answer={})


def test_unknown_options_are_left_out_of_the_answer() -> None:
    assert agreed(multicast="", utimeout="5000000", rollover="0", blksize2="1024").answer == {}


@pytest.mark.parametrize(("asked", "answer"), [("8", 8), ("512", 512), ("1428", 1428), ("65464", 65464)])
def test_a_block_size_within_the_limits_is_agreed_to(asked: str, answer: int) -> None:
    options = agreed(blksize=asked)
    assert (options.blksize, options.answer) == (answer, {"blksize": str(answer)})


@pytest.mark.parametrize("asked", ["0", "1", "7"])
def test_a_block_size_below_the_limit_is_left_out(asked: str) -> None:
    options = agreed(blksize=asked)
    assert (options.blksize, options.answer) == (512, {})


@pytest.mark.parametrize("asked", ["65465", "65535", "65536", "9" * 18])
def test_a_block_size_above_the_limit_is_answered_with_the_limit(asked: str) -> None:
    options = agreed(blksize=asked)
    assert (options.blksize, options.answer) == (65464, {"blksize": "65464"})


def test_the_server_may_answer_with_a_smaller_block_size() -> None:
    options = agreed(blksize="8192", max_blksize=1428)
    assert (options.blksize, options.answer) == (1428, {"blksize": "1428"})


def test_a_number_with_leading_zeros_is_answered_without_them() -> None:
    assert agreed(blksize="01024").answer == {"blksize": "1024"}


@pytest.mark.parametrize(("asked", "answer"), [("1", 1), ("2", 2), ("255", 255)])
def test_a_timeout_within_the_limits_is_answered_as_it_was_asked(asked: str, answer: int) -> None:
    options = agreed(timeout=asked)
    assert (options.timeout_s, options.answer) == (answer, {"timeout": asked})


@pytest.mark.parametrize("asked", ["0", "256", "1000"])
def test_a_timeout_outside_the_limits_is_left_out(asked: str) -> None:
    options = agreed(timeout=asked)
    assert (options.timeout_s, options.answer) == (None, {})


@pytest.mark.parametrize("asked", ["0", "1", "123456789"])
@pytest.mark.parametrize("size", [0, 1, 5_000_000_000])
def test_the_size_is_told_whatever_the_client_guessed(asked: str, size: int) -> None:
    assert agreed(size, tsize=asked).answer == {"tsize": str(size)}


@pytest.mark.parametrize(("asked", "answer"), [("1", 1), ("4", 4), ("16", 16), ("17", 16), ("65535", 16)])
def test_a_window_size_is_agreed_to_up_to_the_servers_limit(asked: str, answer: int) -> None:
    options = agreed(windowsize=asked)
    assert (options.windowsize, options.answer) == (answer, {"windowsize": str(answer)})


@pytest.mark.parametrize("asked", ["0", "65536", "100000"])
def test_a_window_size_outside_the_limits_is_left_out(asked: str) -> None:
    options = agreed(windowsize=asked)
    assert (options.windowsize, options.answer) == (1, {})


@pytest.mark.parametrize("option", ["blksize", "timeout", "tsize", "windowsize"])
@pytest.mark.parametrize("value", GARBAGE)
def test_a_value_that_is_no_number_is_left_out(option: str, value: str) -> None:
    assert agreed(**{option: value}) == Negotiated()


def test_one_bad_value_does_not_spoil_the_others() -> None:
    options = agreed(77, blksize="big", timeout="3", tsize="0", windowsize="8")
    assert options == Negotiated(512, 8, 3, {"timeout": "3", "tsize": "77", "windowsize": "8"})


@settings(deadline=None, derandomize=True)
@given(
    options=st.dictionaries(
        st.sampled_from(["blksize", "timeout", "tsize", "windowsize", "other"]),
        st.one_of(st.integers(-10, 70_000).map(str), st.text(max_size=6)),
    ),
    max_blksize=st.integers(512, 65464),
    max_windowsize=st.integers(1, 64),
)
def test_the_answer_says_what_is_used_and_answers_only_what_was_asked(
    options: dict[str, str], max_blksize: int, max_windowsize: int
) -> None:
    result = negotiate(options, 4096, max_blksize, max_windowsize)
    assert set(result.answer) <= set(options)
    assert 8 <= result.blksize <= max_blksize
    assert 1 <= result.windowsize <= max_windowsize
    used = {"blksize": result.blksize, "timeout": result.timeout_s, "tsize": 4096, "windowsize": result.windowsize}
    assert all(result.answer[name] == str(used[name]) for name in result.answer)
    for name in ("blksize", "windowsize", "timeout"):
        if name in result.answer:
            assert int(result.answer[name]) <= int(options[name])
