"""Parts of a file (RFC 9110 section 14)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.serving.http_response import file_answer

from .answers import EARLIER, ETAG, LATER, MODIFIED, SIZE, a_file, answer, fields


@pytest.mark.parametrize(
    ("wanted", "start", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-999", 0, 1000),
        ("bytes=0-", 0, 1000),
        ("bytes=10-19", 10, 10),
        ("bytes=999-", 999, 1),
        ("bytes=999-999", 999, 1),
        ("bytes=990-5000", 990, 10),
        ("bytes=-1", 999, 1),
        ("bytes=-1000", 0, 1000),
        ("bytes=-5000", 0, 1000),
        (" bytes=0-1 ", 0, 2),
        ("bytes=0-" + "9" * 18, 0, 1000),
    ],
)
def test_a_range(wanted: str, start: int, length: int) -> None:
    result = answer(range=wanted)
    assert (result.status, result.start, result.length) == (206, start, length)
    assert fields(result)["Content-Range"] == f"bytes {start}-{start + length - 1}/1000"
    assert fields(result)["Content-Length"] == str(length)
    assert fields(result)["ETag"] == ETAG


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=1000-1001", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_had(wanted: str) -> None:
    result = answer(range=wanted)
    assert (result.status, result.length) == (416, 0)
    assert fields(result)["Content-Range"] == "bytes */1000"
    assert fields(result)["Content-Length"] == "0"


@pytest.mark.parametrize("wanted", ["bytes=0-", "bytes=0-0", "bytes=-5"])
def test_an_empty_file_has_no_ranges(wanted: str) -> None:
    result = answer(a_file(size=0), range=wanted)
    assert (result.status, fields(result)["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=+1-2",
        "bytes=0x0-1",
        "bytes=--1",
        "bytes=0-1,5-6",
        "bytes=0-1\xb2",
        "lines=0-1",
        "bytes=" + "9" * 19 + "-",
    ],
)
def test_a_range_that_is_not_understood_gives_the_whole_file(wanted: str) -> None:
    result = answer(range=wanted)
    assert (result.status, result.length) == (200, SIZE)


def test_head_has_no_ranges() -> None:
    assert answer(with_body=False, range="bytes=0-1").headers == answer().headers
    assert answer(with_body=False, range="bytes=5000-").status == 200


@pytest.mark.parametrize(("condition", "status"), [(ETAG, 206), (MODIFIED, 206)])
def test_a_range_of_the_same_file_as_before_is_sent(condition: str, status: int) -> None:
    assert answer(if_range=condition, range="bytes=10-").status == status


@pytest.mark.parametrize("condition", ['"a"', f"W/{ETAG}", ETAG.strip('"'), EARLIER, LATER, "", "rubbish"])
def test_of_another_file_than_before_the_whole_is_sent(condition: str) -> None:
    result = answer(if_range=condition, range="bytes=10-")
    assert (result.status, result.start, result.length) == (200, 0, SIZE)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    size=st.integers(0, 20),
    headers=st.dictionaries(
        st.sampled_from(["range", "if-range", "if-none-match", "if-modified-since"]),
        st.from_regex(r"\A ?bytes=[0-9]{0,2}-[0-9]{0,2}\Z") | st.sampled_from([ETAG, MODIFIED, LATER, "*"]) | st.text(),
    ),
    with_body=st.booleans(),
)
def test_every_answer_is_about_bytes_that_the_file_has(size: int, headers: dict[str, str], with_body: bool) -> None:
    result = file_answer(a_file(size=size), headers, with_body=with_body)
    assert result.status in (200, 206, 304, 416)
    assert 0 <= result.start <= result.start + result.length <= size
    if with_body and result.status in (200, 206):
        assert fields(result)["Content-Length"] == str(result.length)
