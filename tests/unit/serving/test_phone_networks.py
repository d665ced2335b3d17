"""Requests from outside of the phones' networks: TFTP says nothing, HTTP 403; the watchdog is always answered."""

from __future__ import annotations

import ipaddress
import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from provd.serving import http_connection, tftp
from provd.serving.http import HttpOptions
from provd.serving.probe import http_answers, tftp_answers
from provd.serving.tftp import PROBE_NAME, TftpOptions
from tests.integration.clients import HttpPhone, TftpPhone, tftp_request

from .askers import needs_ipv6
from .running import FolderDesk, http_door, outside, port_of, tftp_door, until

PHONE, STRANGER = "127.0.0.1", "127.0.0.2"
CONTENT = b"content"
NETWORKS = [ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("2001:db8::/32")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path


# --- TFTP


@pytest.mark.parametrize("packet", [tftp_request("file"), tftp_request("file", opcode=2), tftp_request("x", "mail")])
def test_by_tftp_a_stranger_gets_no_answer(
    opened: ExitStack, folder: Path, packet: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = tftp_door(opened, folder, networks=NETWORKS)
    with TftpPhone(port_of(door), STRANGER) as stranger, TftpPhone(port_of(door), PHONE) as phone:
        stranger.send(packet, stranger.server)
        until(lambda: door.counters["dropped"])
        assert outside(phone.fetch, "file") == CONTENT
        assert outside(stranger.receive, 0.05) is None
    assert (door.counters["dropped"], door.counters["requests"]) == (1, 1)
    assert "answer=none reason='phones may not come from this address'" in caplog.text
    assert isinstance(door._desk, FolderDesk)
    assert [request.address for request in door._desk.asked] == [PHONE], "no plugin is asked"


def test_the_watchdogs_question_is_answered_wherever_phones_may_come_from(opened: ExitStack, folder: Path) -> None:
    nowhere = [ipaddress.ip_network("192.0.2.0/24")]
    for address in ("127.0.0.1", "0.0.0.0"):
        assert tftp_answers(tftp_door(opened, folder, address, networks=nowhere).addresses[0], 5)
        assert http_answers(http_door(opened, folder, address, networks=nowhere).addresses[0], 5)


@needs_ipv6
def test_the_watchdogs_question_is_answered_by_ipv6(opened: ExitStack, folder: Path) -> None:
    assert tftp_answers(tftp_door(opened, folder, "::", networks=NETWORKS).addresses[0], 5)
    assert http_answers(http_door(opened, folder, "::1", networks=NETWORKS).addresses[0], 5)


def test_a_stranger_who_asks_what_the_watchdog_asks_gets_no_answer(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tftp, http_connection):
        monkeypatch.setattr(module, "is_same_machine", lambda address, own: address == PHONE)
    door = tftp_door(opened, folder, networks=NETWORKS)
    with TftpPhone(port_of(door), STRANGER) as stranger:
        stranger.send(tftp_request(PROBE_NAME, opcode=2), stranger.server)
        until(lambda: door.counters["dropped"])
        assert outside(stranger.receive, 0.05) is None
    with HttpPhone(port_of(http_door(opened, folder, networks=NETWORKS)), STRANGER) as stranger:
        assert outside(lambda: stranger.get("*", method="OPTIONS")).status == 403


# --- HTTP


@pytest.mark.parametrize(
    ("path", "method"), [("/file", "GET"), ("/file", "HEAD"), ("/nothing", "GET"), ("/file", "POST"), ("/", "OPTIONS")]
)
def test_by_http_a_stranger_is_forbidden(opened: ExitStack, folder: Path, path: str, method: str) -> None:
    door = http_door(opened, folder, networks=NETWORKS)
    with HttpPhone(port_of(door), STRANGER) as stranger:
        assert outside(lambda: stranger.get(path, method=method)).status == 403
        assert stranger.rest() == b"", "the connection ends"
    with HttpPhone(port_of(door), PHONE) as phone:
        assert outside(lambda: phone.get("/file")).body == CONTENT
    assert (door.counters["refused"], door.counters["requests"]) == (1, 1)


@pytest.mark.parametrize(
    ("forwarded_for", "status"),
    [("2001:db8::7", 200), ("198.51.100.7, 127.0.0.1", 200), ("127.0.0.1, 198.51.100.7", 403), ("garbage", 200),
     ("198.51.100.7%eth0", 200)],
)  # fmt: skip
def test_behind_a_proxy_the_clients_address_counts(
    opened: ExitStack, folder: Path, forwarded_for: str, status: int
) -> None:
    door = http_door(opened, folder, networks=NETWORKS, trusted_proxies=1)
    with HttpPhone(port_of(door), PHONE) as phone:
        assert outside(lambda: phone.get("/file", f"X-Forwarded-For: {forwarded_for}")).status == status


def test_changed_networks_count_from_the_next_request_on(opened: ExitStack, folder: Path) -> None:
    nowhere = [ipaddress.ip_network("192.0.2.0/24")]
    http, by_tftp = http_door(opened, folder), tftp_door(opened, folder)
    with HttpPhone(port_of(http)) as phone, TftpPhone(port_of(by_tftp)) as tftp_phone:
        assert outside(lambda: phone.get("/file")).status == 200
        http.use(HttpOptions(networks=nowhere))
        assert outside(lambda: phone.get("/file")).status == 403, "also on a connection that is open"
        by_tftp.use(replace(TftpOptions(), networks=nowhere))
        tftp_phone.ask("file")
        until(lambda: by_tftp.counters["dropped"])
        by_tftp.use(TftpOptions())
        assert outside(tftp_phone.fetch, "file") == CONTENT


def test_who_is_turned_away_has_a_trace(tmp_path: Path) -> None:
    with ExitStack() as opened:
        door = http_door(opened, tmp_path, networks=[ipaddress.ip_network("198.51.100.0/24")])
        with HttpPhone(port_of(door)) as phone:
            assert outside(lambda: phone.get("/file")).status == 403
        assert door.desk.turned_away_from == [("127.0.0.1", "phones may not come from this address")]
