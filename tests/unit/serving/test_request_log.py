"""What the log says of requests."""

from __future__ import annotations

import logging
import time

import pytest

from provd.serving.request_log import RequestLog

PHONE = "yealink SIP-T21P 52.80.0.10 00:15:65:11:22:33"


def infos(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_a_refused_request_leaves_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    RequestLog("http", "user_agent").refused(
        "192.0.2.7", "001565112233.cfg", PHONE, "status=404", "No plugin serves this phone."
    )
    assert infos(caplog) == [
        f"request refused: door=http address=192.0.2.7 path='001565112233.cfg' user_agent='{PHONE}' "
        "status=404 reason='No plugin serves this phone.' unreported=0"
    ]


def test_an_address_is_told_once_a_minute_with_the_number_of_those_that_were_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    request_log = RequestLog("tftp", "mode")
    for _ in range(5):
        request_log.refused("192.0.2.7", "a", "octet", "error=1", "no such file")
        request_log.refused("192.0.2.8", "b", "octet", "error=1", "no such file")
    now += 60
    request_log.refused("192.0.2.7", "c", "octet", "error=1", "no such file")
    assert [line.partition("address=")[2] for line in infos(caplog)] == [
        "192.0.2.7 path='a' mode='octet' error=1 reason='no such file' unreported=0",
        "192.0.2.8 path='b' mode='octet' error=1 reason='no such file' unreported=0",
        "192.0.2.7 path='c' mode='octet' error=1 reason='no such file' unreported=4",
    ]


def test_ten_thousand_addresses_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    request_log = RequestLog("tftp", "mode")
    began = time.monotonic()
    for number in range(10_000):
        request_log.refused(f"10.0.{number // 256}.{number % 256}", "a", "octet", "error=1", "no such file")
    assert len(infos(caplog)) <= 10 * (2 + time.monotonic() - began)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "é' \"", "\u2028", "n" * 5000, "\U0010ffff" * 5000])
def test_foreign_texts_are_quoted_and_cut(caplog: pytest.LogCaptureFixture, text: str) -> None:
    caplog.set_level(logging.DEBUG)
    request_log = RequestLog("http", "user_agent")
    request_log.refused("192.0.2.7", text, text, "status=404", "reason")
    request_log.answered("192.0.2.7", text, text, "status=200", 10)
    for line in (record.getMessage() for record in caplog.records):
        assert line.isprintable()
        assert len(line) < 5000
        assert f"path={text[:200]!r}"[:-1] in line
    assert len(caplog.records) == 2


def test_each_request_is_told_in_detail_if_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request_log = RequestLog("http", "user_agent")
    assert request_log.is_detailed
    request_log.answered("192.0.2.7", "a.cfg", "phone", "status=200", 4096)
    for _ in range(3):
        request_log.refused("192.0.2.7", "b.cfg", "phone", "status=404", "No such file for this phone.")
    lines = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]
    assert lines == [
        ("DEBUG", "request answered"),
        ("INFO", "request refused"),
        ("DEBUG", "request refused"),
        ("DEBUG", "request refused"),
    ]
    assert caplog.records[0].getMessage().endswith("path='a.cfg' user_agent='phone' status=200 bytes=4096")


def test_nothing_is_told_in_detail_if_that_is_not_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    request_log = RequestLog("http", "user_agent")
    assert not request_log.is_detailed
    request_log.answered("192.0.2.7", "a.cfg", "phone", "status=200", 4096)
    assert not caplog.records
