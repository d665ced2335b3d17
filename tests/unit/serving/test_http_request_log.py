"""What the HTTP door's requests leave in the log."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.clients import HttpPhone, http_raw

from .running import http_door, outside, port_of

AGENT = "yealink SIP-T21P 52.80.0.10 00:15:65:11:22:33"
FIELD = f"User-Agent: {AGENT}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"x" * 4096)
    (tmp_path / "folder").mkdir()
    return tmp_path


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "provd.serving.request_log"]


@pytest.mark.parametrize(
    ("target", "method", "line"),
    [
        ("/001565112233.cfg", "GET", "path='001565112233.cfg' {} status=404 reason='No such file for this phone.'"),
        ("/foreign", "HEAD", "path='foreign' {} status=404 reason='No plugin serves this phone.'"),
        ("/slow/nothing", "GET", "path='slow/nothing' {} status=404 reason='No such file for this phone.'"),
        ("/folder", "GET", "path='folder' {} status=403 reason='This is a directory.'"),
        ("/a%0Ab%E2%80%A8?c", "GET", r"path='a\nb\u2028' {} status=404 reason='No such file for this phone.'"),
        ("/%ff", "GET", "path='/%ff' {} status=400 reason='This is no file name.'"),
        ("/file", "PUT", "path='file' {} status=405 reason='Files can only be read.'"),
    ],
)
def test_a_refused_request_leaves_its_trace(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture, target: str, method: str, line: str
) -> None:
    caplog.set_level(logging.INFO)
    door = http_door(opened, folder)
    for _ in range(3):
        with HttpPhone(port_of(door)) as phone:
            outside(lambda phone=phone: phone.get(target, FIELD, method=method))
    told = line.format(f"user_agent='{AGENT}'")
    assert lines(caplog) == [f"request refused: door=http address=127.0.0.1 {told} unreported=0"], "and not three times"


@pytest.mark.parametrize(
    ("content", "status"), [(b"\x16\x03\x01\x02\x00\x01", 400), (b"GET /%s HTTP/1.1\r\n" % (b"n" * 3000), 414)]
)
def test_what_is_no_request_leaves_its_trace_too(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture, content: bytes, status: int
) -> None:
    """Such as a phone that was told to speak TLS here."""
    caplog.set_level(logging.INFO)
    door = http_door(opened, folder)
    outside(http_raw, port_of(door), content)
    (line,) = lines(caplog)
    assert line.startswith(
        f"request refused: door=http address=127.0.0.1 path='' user_agent='' status={status} reason="
    )


def test_a_connection_that_is_turned_away_leaves_its_trace(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = http_door(opened, folder, max_connections_per_address=1)
    with HttpPhone(port_of(door)) as first, HttpPhone(port_of(door)) as second:
        assert outside(first.get, "/file").status == 200
        assert outside(second.answer).status == 503
    assert lines(caplog) == [
        "request refused: door=http address=127.0.0.1 path='' user_agent='' status=503 "
        "reason='Too many connections.' unreported=0"
    ]


def test_behind_a_proxy_the_phones_address_is_told(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = http_door(opened, folder, trusted_proxies=1)
    with HttpPhone(port_of(door)) as phone:
        for address in ("192.0.2.7", "192.0.2.8"):
            outside(phone.get, "/nothing", f"X-Forwarded-For: {address}")
    assert [line.split()[3] for line in lines(caplog)] == ["address=192.0.2.7", "address=192.0.2.8"]


def test_each_answered_request_is_told_in_detail(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    door = http_door(opened, folder)
    with HttpPhone(port_of(door)) as phone:
        tag = outside(phone.get, "/file", FIELD).headers["etag"]
        outside(lambda: phone.get("/file?x", FIELD, f"If-None-Match: {tag}"))
        outside(lambda: phone.get("/file", FIELD, "Range: bytes=0-9"))
        outside(lambda: phone.get("/file", FIELD, method="HEAD"))
        outside(lambda: phone.get("/slow/file", FIELD))
    begin = "request answered: door=http address=127.0.0.1 path="
    assert lines(caplog) == [
        f"{begin}'{path}' user_agent='{AGENT}' status={status} bytes={size}"
        for path, status, size in (
            ("file", 200, 4096), ("file", 304, 0), ("file", 206, 10), ("file", 200, 0), ("slow/file", 200, 4096)
        )
    ]  # fmt: skip


def test_the_watchdogs_question_is_not_told(opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    door = http_door(opened, folder)
    with HttpPhone(port_of(door)) as phone:
        assert outside(lambda: phone.get("*", method="OPTIONS")).status == 200
    assert not lines(caplog)


def test_a_proxy_that_is_not_trusted_is_told_of_now_and_then(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All phones behind it seem to have its address, and take that from each other."""
    door = http_door(opened, folder)
    with HttpPhone(port_of(door)) as phone:
        for _ in range(3):
            assert outside(phone.get, "/file", "X-Forwarded-For: 192.0.2.7").status == 200
    (record,) = [record for record in caplog.records if "proxy" in record.getMessage()]
    assert record.getMessage() == (
        "a request came through a proxy that is not trusted, so it counts as the proxy's: proxy=127.0.0.1 "
        "advice='if the proxy is yours, see the setting http.trusted_proxies'"
    )


@pytest.mark.parametrize(("proxies", "fields"), [(0, []), (1, ["X-Forwarded-For: 192.0.2.7"])])
def test_without_a_proxy_or_with_one_that_is_trusted_nothing_is_told(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture, proxies: int, fields: list[str]
) -> None:
    door = http_door(opened, folder, trusted_proxies=proxies)
    with HttpPhone(port_of(door)) as phone:
        assert outside(phone.get, "/file", *fields).status == 200
    assert "proxy" not in caplog.text
