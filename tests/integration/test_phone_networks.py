"""A server that answers phones of their own networks only."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.integration.clients import CONFIG, TftpPhone, http_get, tftp_curl
from tests.integration.server import RunningServer, wait_until

PHONE, STRANGER = "127.0.0.9", "127.0.1.9"


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server for the phones of 127.0.0.0/24."""
    return start_server(settings='[general]\nphone_networks = ["127.0.0.0/24", "2001:db8::/32"]\n')


def test_a_stranger_gets_nothing_and_makes_nothing(server: RunningServer) -> None:
    for path in ("/Aastra/aastra.cfg", f"/Aastra/{CONFIG}", "/", "/x"):
        answer = http_get(server.http_port, path, source=STRANGER)
        assert (answer.status, b"phones may not come from this address" in answer.body.lower()) == (403, True)
    with TftpPhone(server.tftp_port, STRANGER) as stranger:
        stranger.ask(CONFIG)
        wait_until(lambda: server.status()["doors"]["tftp"].get("dropped") == 1)
        assert stranger.receive(0.05) is None
    assert server.devices() == []
    assert server.security_lines() == []
    assert server.status()["doors"]["http"]["refused"] == 4
    assert "reason='Phones may not come from this address.'" in server.log()


def test_a_phone_is_served(server: RunningServer) -> None:
    assert http_get(server.http_port, f"/Aastra/{CONFIG}", source=PHONE).status == 200
    assert tftp_curl(server.tftp_port, CONFIG, source=PHONE)
    assert http_get(server.http_port, f"/Aastra/{CONFIG}", source=STRANGER).status == 403, "known or not"


def test_networks_are_changed_without_a_restart(server: RunningServer) -> None:
    (server.state / "conf.d").mkdir()
    (server.state / "conf.d" / "all.toml").write_text('[general]\nphone_networks = ["127.0.1.0/24"]\n')
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "settings read again: changed=general.phone_networks" in server.log())
    assert http_get(server.http_port, f"/Aastra/{CONFIG}", source=STRANGER).status == 200
    assert http_get(server.http_port, f"/Aastra/{CONFIG}", source=PHONE).status == 403
