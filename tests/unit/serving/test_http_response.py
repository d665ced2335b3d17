"""What an answer says: the file, or that it has not changed (RFC 9110)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.plugins.files import OpenFile
from provd.serving.http_response import Answer, head_bytes, text_answer

from .answers import EARLIER, ETAG, LATER, MODIFIED, MODIFIED_S, SIZE, a_file, answer, fields


@pytest.fixture
def eastern_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# --- the whole file


def test_the_whole_file() -> None:
    result = answer()
    assert (result.status, result.start, result.length) == (200, 0, SIZE)
    assert fields(result) == {
        "Content-Type": "text/plain; charset=utf-8",
        "ETag": ETAG,
        "Last-Modified": MODIFIED,
        "Accept-Ranges": "bytes",
        "Content-Length": "1000",
    }


def test_an_empty_file() -> None:
    result = answer(a_file(size=0))
    assert (result.status, result.length, fields(result)["Content-Length"]) == (200, 0, "0")


def test_head_has_the_fields_of_get_and_no_body() -> None:
    result = answer(with_body=False)
    assert (result.status, result.length) == (200, 0)
    assert result.headers == answer().headers


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("Aastra/00085D2EECFB.cfg", "text/plain; charset=utf-8"),
        ("a.CFG", "text/plain; charset=utf-8"),
        ("a.xml", "text/xml; charset=utf-8"),
        ("a.htm", "text/html; charset=utf-8"),
        ("a.jpg", "image/jpeg"),
        ("a.cfg.gz", "application/octet-stream"),
        ("6731i.st", "application/octet-stream"),
        ("folder.cfg/firmware", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_extension(path: str, content_type: str) -> None:
    assert fields(answer(a_file(path)))["Content-Type"] == content_type


# --- validators


@pytest.mark.parametrize(
    "other", [a_file(size=999), a_file(mtime_ns=MODIFIED_S * 10**9 + 6), a_file(inode=8)], ids=["size", "time", "inode"]
)
def test_another_file_has_another_tag(other: OpenFile) -> None:
    assert fields(answer(other))["ETag"] != ETAG


def test_the_same_file_has_the_same_tag_also_by_another_path() -> None:
    assert fields(answer(a_file("b.cfg")))["ETag"] == ETAG
    assert ETAG.startswith('"')
    assert ETAG.endswith('"')


@pytest.mark.parametrize("tags", [ETAG, f"W/{ETAG}", f'"a", {ETAG}', f'"a",W/{ETAG} , "b"', "*"])
@pytest.mark.parametrize("with_body", [True, False], ids=["GET", "HEAD"])
def test_a_file_that_the_client_has_is_not_sent_again(tags: str, with_body: bool) -> None:
    result = answer(with_body=with_body, if_none_match=tags)
    assert (result.status, result.length) == (304, 0)
    assert fields(result) == {"ETag": ETAG, "Last-Modified": MODIFIED}


@pytest.mark.parametrize("tags", ["", '"a"', ETAG.strip('"'), ETAG[:-1], f"w/{ETAG}"])
def test_a_file_that_the_client_does_not_have_is_sent(tags: str) -> None:
    assert answer(if_none_match=tags).status == 200


@pytest.mark.parametrize(
    ("since", "status"), [(MODIFIED, 304), (LATER, 200), (EARLIER, 200), ("", 200), ("yesterday", 200), ("0", 200)]
)
def test_a_file_is_not_sent_again_if_the_client_has_that_of_exactly_this_date(since: str, status: int) -> None:
    """A later date is that of another file: an older one has come in its place, from a backup or another plugin."""
    assert answer(if_modified_since=since).status == status


@pytest.mark.parametrize("ahead_s", [0, 1, 3600, 10**9])
def test_a_date_in_the_future_or_of_this_second_is_not_told_and_not_compared(
    monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    """A clock that is set back makes the one; a file that changes twice in a second makes the other."""
    monkeypatch.setattr(time, "time", lambda: MODIFIED_S + 0.9)
    date = formatdate(MODIFIED_S + ahead_s, usegmt=True)
    file = a_file(mtime_ns=(MODIFIED_S + ahead_s) * 10**9 + 5)
    assert "Last-Modified" not in fields(answer(file))
    assert answer(file, if_modified_since=date).status == 200
    assert answer(file, if_unmodified_since=EARLIER).status == 200
    assert answer(file, range="bytes=0-9", if_range=date).status == 200
    assert answer(file, if_none_match=fields(answer(file))["ETag"]).status == 304


def test_the_date_of_the_last_second_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: MODIFIED_S + 1.0)
    assert fields(answer())["Last-Modified"] == MODIFIED


def test_the_tag_decides_where_both_are_given() -> None:
    assert answer(if_none_match='"a"', if_modified_since=LATER).status == 200
    assert answer(if_none_match=ETAG, if_modified_since=EARLIER).status == 304


def test_an_unchanged_file_has_no_range() -> None:
    assert answer(if_none_match=ETAG, range="bytes=0-1").status == 304


@pytest.mark.usefixtures("eastern_time")
@pytest.mark.parametrize("date", [MODIFIED, "Sunday, 06-Nov-94 08:49:37 GMT"])
def test_a_date_is_read_in_universal_time(date: str) -> None:
    assert answer(if_modified_since=date).status == 304


@pytest.mark.usefixtures("eastern_time")
def test_a_date_in_the_form_of_asctime_is_in_universal_time() -> None:
    """RFC 9110 section 5.6.7: all three forms are read, and all are in universal time."""
    assert answer(if_modified_since="Sun Nov  6 08:49:36 1994").status == 200
    assert answer(if_range="Sun Nov  6 08:49:37 1994", range="bytes=0-1").status == 206


@pytest.mark.parametrize("condition", [{"if_match": '"a"'}, {"if_unmodified_since": EARLIER}], ids=["tag", "date"])
def test_a_file_that_is_not_the_expected_one_is_not_sent(condition: dict[str, str]) -> None:
    """RFC 9110 sections 13.1.1 and 13.1.4: a server must evaluate these, and answers 412."""
    assert answer(**condition).status == 412


@settings(deadline=None, derandomize=True, max_examples=500)
@given(
    st.lists(
        st.sampled_from(
            ["Sun", ",", " ", "06", "Nov", "1994", "08:49:37", "GMT", "-0000", "99999999999", "0", ":", "-", "+"]
        )
        | st.characters(max_codepoint=255)
    ).map(" ".join)
)
def test_any_date_is_understood_or_ignored(date: str) -> None:
    assert answer(if_modified_since=date).status in (200, 304)


# --- bytes


def test_the_head_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: MODIFIED_S + 0.9)
    head = head_bytes(Answer(304, (("ETag", '"a"'),)), connection="close")
    assert head == (
        b"HTTP/1.1 304 Not Modified\r\nDate: " + MODIFIED.encode() + b"\r\nServer: provd\r\n"
        b'ETag: "a"\r\nConnection: close\r\n\r\n'
    )


def test_without_a_connection_field_there_is_none() -> None:
    assert b"Connection" not in head_bytes(Answer(200, ()), connection=None)


@pytest.mark.parametrize("status", [200, 206, 304, 400, 403, 404, 405, 414, 416, 431, 503, 505])
def test_every_status_has_its_phrase(status: int) -> None:
    first_line = head_bytes(Answer(status, ()), connection=None).split(b"\r\n")[0]
    assert first_line.startswith(b"HTTP/1.1 %d " % status)
    assert len(first_line.split(b" ", 2)[2]) > 1


def test_the_date_is_now() -> None:
    before = int(time.time())
    line = head_bytes(Answer(200, ()), connection=None).split(b"\r\n")[1].decode()
    assert line in {f"Date: {formatdate(second, usegmt=True)}" for second in range(before, int(time.time()) + 1)}


def test_a_text_has_its_length_in_bytes() -> None:
    result, body = text_answer(404, "Pas trouvé.", (("Retry-After", "5"),))
    assert body == "Pas trouvé.\n".encode()
    assert (result.status, fields(result)["Content-Length"], fields(result)["Retry-After"]) == (404, "13", "5")
