"""Phones that speak IPv6, and phones that speak IPv4 to the same sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.integration.clients import (
    CONFIG,
    MAC,
    HttpPhone,
    TftpPhone,
    boot,
    http_get,
    tftp_curl,
    tftp_hpa,
    user_agent,
)
from tests.integration.server import RunningServer


@pytest.fixture(autouse=True)
def ipv6() -> None:
    """The tests need the loopback's IPv6 address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("there is no ::1 on this machine")


def test_both_doors_listen_on_all_addresses_of_both_versions(server: RunningServer) -> None:
    doors = server.status()["doors"]
    assert doors["tftp"]["listening"] == [f"[::]:{server.tftp_port}"]
    assert doors["http"]["listening"] == [f"[::]:{server.http_port}"]


def test_a_phone_boots_over_ipv6_by_http(server: RunningServer) -> None:
    assert http_get(server.http_port, "/Aastra/aastra.cfg", source="::1", host="[::1]").status == 200
    own = http_get(server.http_port, f"/Aastra/{CONFIG}", source="::1", host="[::1]")
    assert own.body == (server.tftpboot() / "Aastra" / CONFIG).read_bytes()
    (device,) = server.devices()
    assert (device["mac"], device["ip"], device["configured"]) == (MAC, "::1", True)
    created, requested = (line.partition("] ")[2] for line in server.security_lines())
    assert created == f"New device created automatically from ::1: {device['id']}"
    assert requested == f'Sensitive file requested from ::1: "{CONFIG}" owner=known device={device["id"]}'


def test_a_phone_boots_over_ipv6_by_tftp(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port, "::1", "::1") as phone:
        content = phone.fetch(f"Aastra/{CONFIG}")
    assert content == (server.tftpboot() / "Aastra" / CONFIG).read_bytes()
    (device,) = server.devices()
    assert (device["mac"], device["ip"]) == (MAC, "::1")
    assert tftp_curl(server.tftp_port, "aastra.cfg", source="::1", host="[::1]"), "now known by its address"


def test_tftp_clients_of_other_people_get_files_over_ipv6(server: RunningServer, tmp_path: object) -> None:
    boot(server.http_port, source="::1", host="[::1]")
    content = bytes(range(256)) * 999
    (server.tftpboot() / "file").write_bytes(content)
    assert tftp_curl(server.tftp_port, "file", "--tftp-blksize", "1428", source="::1", host="[::1]") == content
    tftp_hpa(server.tftp_port, "file", tmp_path / "hpa", host="::1")
    assert (tmp_path / "hpa").read_bytes() == content
    with TftpPhone(server.tftp_port, "::1", "::1") as phone:
        assert phone.fetch("file", blksize=65464, windowsize=2, tsize=0) == content


def test_a_phone_on_the_shared_sockets_is_recorded_with_its_plain_ipv4_address(server: RunningServer) -> None:
    by_tftp = "00085D000001.cfg"
    boot(server.http_port, "127.0.0.9")
    tftp_curl(server.tftp_port, by_tftp, source="127.0.0.8")
    assert {device["mac"]: device["ip"] for device in server.devices()} == {
        MAC: "127.0.0.9",
        "00:08:5d:00:00:01": "127.0.0.8",
    }
    assert "::ffff:" not in "".join(server.security_lines())


def test_a_phone_may_change_between_the_versions(server: RunningServer) -> None:
    for source, host in (("127.0.0.9", "127.0.0.1"), ("::1", "[::1]"), ("127.0.0.9", "127.0.0.1")):
        boot(server.http_port, source, host=host)
        (device,) = server.devices()
        assert device["ip"] == source


def test_limits_by_address_tell_the_versions_apart(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(settings="[tftp]\nmax_transfers_per_address = 1\n[http]\nmax_connections_per_address = 1\n")
    boot(server.http_port)
    boot(server.http_port, source="::1", mac="00:08:5d:00:00:01", host="[::1]")
    (server.tftpboot() / "file").write_bytes(b"x" * 2000)
    with TftpPhone(server.tftp_port) as four, TftpPhone(server.tftp_port, "::1", "::1") as six:
        assert four.begin("file") == six.begin("file") == b"x" * 512
    with HttpPhone(server.http_port) as four, HttpPhone(server.http_port, "::1", "::1") as six:
        assert four.get("/file").status == six.get("/file").status == 200


@pytest.mark.parametrize("port_range", ["", 'port_range = "41000-41049"\n'])
def test_one_port_for_all_and_a_range_of_ports_work_over_ipv6(
    start_server: Callable[..., RunningServer], port_range: str
) -> None:
    single = "" if port_range else "single_port = true\n"
    server = start_server(settings=f"[tftp]\n{single}{port_range}")
    boot(server.http_port, source="::1", host="[::1]")
    (server.tftpboot() / "file").write_bytes(b"x" * 5000)
    with TftpPhone(server.tftp_port, "::1", "::1") as phone:
        assert phone.fetch("file") == b"x" * 5000
        (transfer,) = phone.transfers
        assert transfer[0] == "::1"
        assert transfer[1] in (range(41000, 41050) if port_range else [server.tftp_port])


@pytest.mark.parametrize(("answers", "silent"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_doors_that_are_bound_to_one_address_answer_there_alone(
    start_server: Callable[..., RunningServer], answers: str, silent: str
) -> None:
    server = start_server(settings=f'[general]\nbind = "{answers}"\n')
    with HttpPhone(server.http_port, answers, answers) as phone:
        assert phone.get("/Aastra/aastra.cfg", f"User-Agent: {user_agent(MAC)}").status == 200
    with TftpPhone(server.tftp_port, answers, answers) as phone:
        assert phone.fetch(f"Aastra/{CONFIG}")
    with pytest.raises(ConnectionRefusedError), HttpPhone(server.http_port, silent, silent):
        pass
    with TftpPhone(server.tftp_port, silent, silent) as phone:
        phone.ask("Aastra/aastra.cfg")
        assert phone.receive(0.3) is None
