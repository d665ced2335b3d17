"""Clients that use up what the server has: it serves those who were first, and recovers."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.integration.clients import HttpPhone, TftpPhone, boot, http_get
from tests.integration.server import RunningServer, wait_until

CONTENT = b"x" * 100_000
SPARE = 8
COMPLAINT = "no connection can be accepted"


def doors(server: RunningServer) -> dict:
    return server.status()["doors"]


@contextmanager
def without_descriptors(server: RunningServer) -> Iterator[None]:
    """Connections take the last descriptors that the server may have."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    low = server.resources()["descriptors"] + SPARE
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (low, limits[1]))
    try:
        with ExitStack() as stack:
            for _ in range(2 * SPARE):
                stack.enter_context(HttpPhone(server.http_port))
            wait_until(lambda: server.resources()["descriptors"] == low, 10, "the shortage")
            yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


def test_without_descriptors_phones_are_told_to_come_again_and_then_served(
    start_server: Callable[..., RunningServer],
) -> None:
    server = start_server()
    server.expected_errors = [COMPLAINT]
    boot(server.http_port)
    (server.tftpboot() / "file").write_bytes(CONTENT)
    wait_until(lambda: doors(server)["http"]["connections"] == 0)
    with TftpPhone(server.tftp_port) as first:
        assert first.begin("file") == CONTENT[:512]
        with without_descriptors(server):
            with TftpPhone(server.tftp_port) as late:
                assert late.answer("file")[:4] == b"\0\5\0\0"
            first.send(b"\0\4\0\1")
            assert first.block(2) == CONTENT[512:1024], "a transfer that has begun goes on"
    wait_until(lambda: doors(server)["http"]["connections"] == 0, 30)
    assert http_get(server.http_port, "/file").body == CONTENT
    with TftpPhone(server.tftp_port) as phone:
        assert phone.fetch("file", blksize=1428) == CONTENT


def test_a_shortage_of_descriptors_is_told_without_tracebacks(start_server: Callable[..., RunningServer]) -> None:
    server = start_server()
    server.expected_errors = [COMPLAINT]
    with without_descriptors(server):
        wait_until(lambda: COMPLAINT in server.log(), 10, "the complaint")
    assert server.log().count(COMPLAINT) == 1, "once, however many clients knock"
