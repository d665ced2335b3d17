"""SIGHUP: the running server reads its settings again."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.clients import CONFIG, http_get, tftp_curl
from tests.integration.server import RunningServer, wait_until


@pytest.fixture
def reload(server: RunningServer) -> Callable[[str, str], str]:
    """Puts other settings beside the server's own, makes it read them, and returns what it says of that."""
    folder = server.state / "conf.d"
    folder.mkdir()

    def put(settings: str, answer: str = "settings read again") -> str:
        (folder / "changed.toml").write_text(settings)
        offset = len(server.log())
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: answer in server.log()[offset:], 10, answer)
        wait_until(lambda: "templates looked at" in server.log()[offset:], 10, "the end of the reload")
        return server.log()[offset:]

    return put


Reload = Callable[..., str]


def test_the_log_says_more_at_once(server: RunningServer, reload: Reload) -> None:
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    assert " DEBUG " not in server.log()
    assert "settings read again: changed=general.log_level\n" in reload('[general]\nlog_level = "debug"\n')
    tftp_curl(server.tftp_port, CONFIG)
    wait_until(lambda: "TFTP transfer ended" in server.log(), 10, "a line for the transfer")
    assert "settings read again: changed=general.log_level\n" in reload("")


def test_the_limits_of_both_doors_change_at_once(server: RunningServer, reload: Reload) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    reload("[http]\nmax_connections_per_address = 1\n[tftp]\nmax_transfers_per_address = 1\nmax_blksize = 600\n")
    with (
        socket.create_connection(("127.0.0.1", server.http_port)) as first,
        socket.create_connection(("127.0.0.1", server.http_port)) as second,
    ):
        second.settimeout(10)
        assert second.recv(100).startswith(b"HTTP/1.1 503")
        first.close()
    (server.tftpboot() / "large").write_bytes(bytes(2000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(10)
        phone.sendto(b"\0\1large\0octet\0blksize\x001400\0", ("127.0.0.1", server.tftp_port))
        packet, peer = phone.recvfrom(2000)
        assert packet == b"\0\6blksize\x00600\0"
        dropped = server.status()["doors"]["tftp"].get("dropped", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"\0\1large\0octet\0", ("127.0.0.1", server.tftp_port))
            wait_until(lambda: server.status()["doors"]["tftp"].get("dropped", 0) > dropped, 10, "the refusal")
        phone.sendto(b"\0\5\0\0bye\0", peer)


def test_a_shorter_drain_is_used_at_the_next_stop(server: RunningServer, reload: Reload) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    reload("[general]\ndrain_timeout = 0.5\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.sendto(b"\0\1aastra.cfg\0octet\0", ("127.0.0.1", server.tftp_port))
        wait_until(lambda: server.status()["doors"]["tftp"]["transfers"] == 1, 10, "the transfer")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0


def test_what_needs_a_restart_is_told_and_does_not_change(server: RunningServer, reload: Reload) -> None:
    said = reload("[http]\nport = 1\nidle_timeout = 5\n[tftp]\nsingle_port = true\n")
    assert "settings read again: changed=http.idle_timeout\n" in said
    assert "settings that need a restart: changed=tftp.single_port\n" in said, "the port is the command line's"
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200


def test_wrong_settings_are_told_and_the_old_ones_stay(server: RunningServer, reload: Reload) -> None:
    server.expected_errors.append("the settings stay as they are")
    reload("[general]\ndrain_timeout = 3\n")
    said = reload('[general]\nlog_level = "loud"\n[http]\nports = 80\n', "the settings stay as they are")
    file = Path(server.state) / "conf.d" / "changed.toml"
    assert f"the settings stay as they are: {file}: general.log_level: " in said
    assert f"the settings stay as they are: {file}: http.ports: there is no such option" in said
    assert "settings read again: changed=none\n" in reload("[general]\ndrain_timeout = 3\n")
