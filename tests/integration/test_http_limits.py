"""The limits of the phones' HTTP door: sizes, times, connections; and whom it believes about addresses."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.clients import HttpPhone, assert_same, boot, http_get, http_raw, user_agent
from tests.integration.server import RunningServer, wait_until

LARGE = random.Random(10).randbytes(20 * 1024 * 1024)
CUT_S = 30.0
"""By when a connection with a time limit of one second must be cut; a busy machine may take its time."""
StartServer = Callable[..., RunningServer]


def with_phones(server: RunningServer, count: int = 1) -> RunningServer:
    """The server, when the addresses from 127.0.0.1 on are known phones' and there are files."""
    for number in range(1, count + 1):
        boot(server.http_port, f"127.0.0.{number}", f"00:08:5d:00:00:{number:02x}")
    (server.tftpboot() / "file").write_bytes(b"content")
    (server.tftpboot() / "large").write_bytes(LARGE)
    wait_until(lambda: connections(server) == 0)
    return server


def connections(server: RunningServer) -> int:
    return server.status()["doors"]["http"]["connections"]


# --- sizes


TOO_LARGE = {
    "target": (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"n" * 3000), 414),
    "target of 300 KB": (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"n" * 300_000), 414),
    "target without end": (b"GET /" + b"n" * 300_000, 414),
    "value": (b"GET /file HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"v" * 20_000), 431),
    "name": (b"GET /file HTTP/1.1\r\nHost: x\r\n%s: v\r\n\r\n" % (b"n" * 20_000), 431),
    "value without end": (b"GET /file HTTP/1.1\r\nHost: x\r\nX: %s" % (b"v" * 1_000_000), 431),
    "65 fields": (b"GET /file HTTP/1.1\r\nHost: x\r\n" + b"X: v\r\n" * 64 + b"\r\n", 431),
    "100,000 fields": (b"GET /file HTTP/1.1\r\n" + b"X: v\r\n" * 100_000, 431),
    "empty lines": (b"\r\n" * 100_000, 431),
}


@pytest.mark.parametrize(("request_bytes", "status"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused(calm_server: RunningServer, request_bytes: bytes, status: int) -> None:
    answer = http_raw(calm_server.http_port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_what_phones_send_is_not_too_large(calm_server: RunningServer) -> None:
    fields = [f"X-{number}: {'v' * 90}" for number in range(40)]
    with HttpPhone(calm_server.http_port) as phone:
        assert phone.get("/" + "n" * 250, *fields).status == 404


def test_a_head_that_is_a_little_too_large_is_refused_too(calm_server: RunningServer) -> None:
    """8,192 bytes are the limit, wherever the network cuts the request."""
    answer = http_raw(calm_server.http_port, b"GET /file HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"v" * 10_000))
    assert answer.startswith(b"HTTP/1.1 431 ")


# --- times


@contextmanager
def running(factory: pytest.TempPathFactory, repository: Path, settings: str) -> Iterator[RunningServer]:
    """A server with settings of its HTTP door, for several tests."""
    server = RunningServer(factory.mktemp("running") / "server", repository, settings=f"[http]\n{settings}\n")
    try:
        yield server
        server.assert_free_resources()
        assert server.stop() == 0
        server.assert_no_errors()
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def hasty_server(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[RunningServer]:
    """A server that gives clients one second."""
    with running(tmp_path_factory, repository, "head_timeout = 1\nidle_timeout = 1") as server:
        yield with_phones(server)


def test_clients_that_do_not_finish_their_request_are_cut(hasty_server: RunningServer) -> None:
    line = b"GET /file HTTP/1.1\r\n"
    begins = [b"", b"G", line, line + b"Host: x\r\nX: y", line + b"Host: x\r\n\r", b"\r\n", b"\x16\x03\x01\x02"]
    with ExitStack() as stack:
        phones = [stack.enter_context(HttpPhone(hasty_server.http_port, timeout_s=CUT_S)) for _ in begins]
        for phone, begin in zip(phones, begins, strict=True):
            phone.send(begin)
        for phone, begin in zip(phones, begins, strict=True):
            assert not phone.rest().startswith(b"HTTP/1.1 2"), begin


@pytest.mark.parametrize("after_a_request", [False, True])
def test_a_client_that_sends_its_request_drop_by_drop_is_cut(
    hasty_server: RunningServer, after_a_request: bool
) -> None:
    with HttpPhone(hasty_server.http_port) as phone:
        if after_a_request:
            assert phone.get("/file").body == b"content"
        phone.send(b"GET /file HTTP/1.1\r\nHost: x\r\n")
        phone.socket.settimeout(0.1)
        until = time.monotonic() + CUT_S
        while time.monotonic() < until:
            try:
                phone.send(b"X: y\r\n")
                assert phone.socket.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            break
        else:
            pytest.fail("the connection is still open")


def test_a_connection_that_waits_too_long_for_the_next_request_is_closed(hasty_server: RunningServer) -> None:
    with HttpPhone(hasty_server.http_port, timeout_s=CUT_S) as phone:
        for _ in range(3):
            assert phone.get("/file").body == b"content"
        assert phone.rest() == b""


def test_a_download_may_take_longer_than_a_request(hasty_server: RunningServer) -> None:
    with HttpPhone(hasty_server.http_port, timeout_s=CUT_S) as idle, HttpPhone(hasty_server.http_port) as phone:
        phone.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.rest() == b"", "more than a second passes"
        assert_same(phone.answer().body, LARGE)


def test_a_hundred_slow_clients_keep_no_phone_waiting(hasty_server: RunningServer) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(HttpPhone(hasty_server.http_port, "127.0.0.66")) for _ in range(100)]
        for phone in slow:
            phone.send(b"GET /file HTTP/1.1\r\n")
        for _ in range(20):
            assert http_get(hasty_server.http_port, "/file").body == b"content"
        wait_until(lambda: connections(hasty_server) == 0, CUT_S)


# --- connections


@contextmanager
def waiting_connections(server: RunningServer, source: str, count: int) -> Iterator[list[HttpPhone]]:
    """Connections that have been used and wait for their next request, the longest waiting first."""
    with ExitStack() as stack:
        phones = [stack.enter_context(HttpPhone(server.http_port, source)) for _ in range(count)]
        for phone in phones:
            assert phone.get("/file").body == b"content"
        yield phones


def test_an_address_has_no_more_connections_than_allowed(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[http]\nmax_connections_per_address = 3\n"), 2)
    with waiting_connections(server, "127.0.0.1", 3) as phones:
        with HttpPhone(server.http_port) as fourth:
            answer = fourth.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert fourth.rest() == b""
        assert http_get(server.http_port, "/file", source="127.0.0.2").body == b"content"
        for phone in phones:
            assert phone.get("/file").body == b"content", "the others are unharmed"
    wait_until(lambda: connections(server) == 0)
    assert http_get(server.http_port, "/file").body == b"content"


def test_when_all_connections_are_taken_the_one_that_waited_longest_gives_way(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[http]\nmax_connections = 4\n"), 2)
    with HttpPhone(server.http_port) as busy, waiting_connections(server, "127.0.0.2", 3) as phones:
        busy.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert phones[0].get("/file").body == b"content", "now the second has waited longest"
        assert http_get(server.http_port, "/file").body == b"content"
        assert phones[1].rest() == b""
        for phone in (phones[0], phones[2]):
            assert phone.get("/file").body == b"content"
        assert_same(busy.answer().body, LARGE, "a busy one is not cut")


def test_when_all_connections_are_busy_a_new_one_is_turned_away(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[http]\nmax_connections = 3\n"), 2)
    with ExitStack() as stack:
        busy = [stack.enter_context(HttpPhone(server.http_port, timeout_s=60)) for _ in range(3)]
        for phone in busy:
            phone.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            assert phone.socket.recv(1, socket.MSG_PEEK) == b"H"
        assert http_get(server.http_port, "/file", source="127.0.0.2").status == 503
        for phone in busy:
            assert_same(phone.answer().body, LARGE)
        assert busy[0].get("/file").body == b"content"


# --- proxies


@pytest.fixture(scope="module", params=[0, 1, 2])
def server_behind_proxies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Iterator[tuple[int, RunningServer]]:
    """A number of proxies, and a server that trusts so many."""
    with running(tmp_path_factory, repository, f"trusted_proxies = {request.param}") as server:
        yield request.param, server


@pytest.mark.parametrize(
    ("fields", "by_proxies"),
    [
        (["X-Forwarded-For: 192.0.2.7"], {1: "192.0.2.7"}),
        (["X-Forwarded-For: 192.0.2.6, 192.0.2.7"], {1: "192.0.2.7", 2: "192.0.2.6"}),
        (["X-Forwarded-For: 192.0.2.6", "X-Forwarded-For: 192.0.2.7"], {1: "192.0.2.7", 2: "192.0.2.6"}),
        (["x-forwarded-for:192.0.2.6 ,\t192.0.2.7 "], {1: "192.0.2.7", 2: "192.0.2.6"}),
        (["X-Forwarded-For: 192.0.2.5, 192.0.2.6, 192.0.2.7"], {1: "192.0.2.7", 2: "192.0.2.6"}),
        (["X-Forwarded-For: 2001:DB8:0::7"], {1: "2001:db8::7"}),
        (["X-Forwarded-For: ::ffff:192.0.2.7"], {1: "192.0.2.7"}),
        (["X-Forwarded-For: 192.0.2.7, unknown"], {2: "192.0.2.7"}),
        (["X-Forwarded-For: 192.0.2.7,"], {2: "192.0.2.7"}),
        (["X-Forwarded-For:"], {}),
        (["X-Real-IP: 192.0.2.7", "Forwarded: for=192.0.2.7"], {}),
    ],
)
def test_the_header_of_proxies_is_believed_as_far_as_they_are_trusted(
    server_behind_proxies: tuple[int, RunningServer], fields: list[str], by_proxies: dict[int, str]
) -> None:
    """`by_proxies` is the address that is believed, where it is not the one that the connection comes from."""
    proxies, server = server_behind_proxies
    known = len(server.devices())
    mac = f"00:08:5d:00:01:{known:02x}"
    with HttpPhone(server.http_port) as phone:
        assert phone.get("/Aastra/aastra.cfg", f"User-Agent: {user_agent(mac)}", *fields).status == 200
    (device,) = [device for device in server.devices() if device["mac"] == mac]
    address = by_proxies.get(proxies, "127.0.0.1")
    assert device["ip"] == address
    assert f"New device created automatically from {address}: {device['id']}" in server.security_lines()[-1]


def test_an_address_of_another_form_does_not_reach_the_security_log(start_server: StartServer) -> None:
    server = start_server(settings="[http]\ntrusted_proxies = 1\n")
    with HttpPhone(server.http_port) as phone:
        agent = f"User-Agent: {user_agent('00:08:5d:00:00:01')}"
        phone.get("/Aastra/aastra.cfg", agent, "X-Forwarded-For: fe80::1%x: 1 from 192.0.2.9")
    assert [line for line in server.security_lines() if "192.0.2.9" in line] == []
