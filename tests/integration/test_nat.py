"""Phones behind one address, over the real doors."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.integration.clients import CONFIG, MAC, config_name, http_get, tftp_curl, user_agent
from tests.integration.server import RunningServer, wait_until

OTHER = "00:08:5d:00:00:01"
NAT = "127.0.0.9"


@pytest.fixture
def nat_server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server whose phones are all behind NAT."""
    return start_server(settings="[general]\nnat = true\n")


def addresses(server: RunningServer) -> dict[str, str | None]:
    return {device["mac"]: device.get("ip") for device in server.devices()}


def test_two_phones_behind_one_address_get_their_files_and_keep_the_address(nat_server: RunningServer) -> None:
    contents = {}
    for mac in (MAC, OTHER):
        agent = user_agent(mac)
        assert http_get(nat_server.http_port, "/Aastra/aastra.cfg", source=NAT, agent=agent).status == 200
        answer = http_get(nat_server.http_port, f"/Aastra/{config_name(mac)}", source=NAT, agent=agent)
        assert answer.status == 200
        contents[mac] = answer.body
    assert contents[MAC] != contents[OTHER]
    assert addresses(nat_server) == {MAC: NAT, OTHER: NAT}

    revisions = nat_server.revisions()
    for mac in (MAC, OTHER, MAC):
        answer = http_get(nat_server.http_port, f"/Aastra/{config_name(mac)}", source=NAT, agent=user_agent(mac))
        assert answer.body == contents[mac]
    assert nat_server.revisions() == revisions, "they do not take the address from each other"


def test_by_tftp_each_phone_is_known_by_the_name_of_its_own_file(nat_server: RunningServer) -> None:
    for mac in (MAC, OTHER):
        content = tftp_curl(nat_server.tftp_port, config_name(mac), source=NAT)
        assert content == (nat_server.tftpboot() / "Aastra" / config_name(mac)).read_bytes()
    assert addresses(nat_server) == {MAC: NAT, OTHER: NAT}
    with pytest.raises(subprocess.CalledProcessError):
        tftp_curl(nat_server.tftp_port, "aastra.cfg", source=NAT)


def test_the_address_tells_nothing_even_if_only_one_phone_has_it(nat_server: RunningServer) -> None:
    http_get(nat_server.http_port, f"/Aastra/{CONFIG}", source=NAT)
    assert http_get(nat_server.http_port, "/Aastra/aastra.cfg", source=NAT, agent="curl").status == 404


@pytest.mark.parametrize(("settings", "content"), [("", "0"), ("[general]\nnat = true\n", "1")])
def test_the_state_folder_says_whether_nat_is_on(
    start_server: Callable[..., RunningServer], settings: str, content: str
) -> None:
    server = start_server(settings=settings)
    file = server.state / "lib" / "nat"
    assert file.read_text() == content
    assert server.status()["nat"] is (content == "1")
    before = file.stat()
    assert server.stop() == 0
    server.start()
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "written if it differs"
    assert server.stop() == 0
    file.write_text("something else")
    server.start()
    assert file.read_text() == content


def test_the_switch_is_turned_without_a_restart(server: RunningServer) -> None:
    folder = server.state / "conf.d"
    folder.mkdir()
    state = server.state / "lib" / "nat"
    for setting, content in (("true", "1"), ("false", "0")):
        (folder / "nat.toml").write_text(f"[general]\nnat = {setting}\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda content=content: state.read_text() == content, what="the file")
        assert server.status()["nat"] is (content == "1")
    for mac in (MAC, OTHER):
        http_get(server.http_port, "/Aastra/aastra.cfg", source=NAT, agent=user_agent(mac))
    assert addresses(server) == {MAC: None, OTHER: NAT}
