"""The traces of phones that ask real doors: from the first datagram to how it ended.

They are kept in the server's memory, so doors and application run in the test's own process here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.serving.dhcp import DhcpDoor, DhcpOptions, open_dhcp_socket
from provd.serving.http import HttpDoor, HttpOptions
from provd.serving.tftp import TftpDoor, TftpOptions
from provd.serving.udp import open_udp_socket
from tests.integration.clients import HttpPhone, TftpPhone
from tests.integration.hooks import commit, tell
from tests.unit.plugins.sample import write_plugin
from tests.unit.provisioning.house import MAC, OWN, House
from tests.unit.serving.running import LOOPBACK, listening_socket, outside, port_of, until

AGENT = f"User-Agent: Sample S100 {MAC} 1.0"


class Site:
    """A house with all three doors."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        write_plugin(folder / "plugins")
        self.house = opened.enter_context(closing(House(folder)))
        desk = self.house.app.phones
        self.http = HttpDoor([listening_socket()], desk, HttpOptions())
        self.tftp = TftpDoor([open_udp_socket(LOOPBACK, 0)], desk, TftpOptions())
        self.dhcp = DhcpDoor([open_dhcp_socket("dhcp.sock")], self.house.app.leases, DhcpOptions())
        for door in (self.http, self.tftp, self.dhcp):
            opened.callback(door.stop, 0)
            door.start()

    def ended(self, count: int) -> list[dict[str, Any]]:
        """The last traces, the oldest first, as soon as so many have ended."""

        def traces() -> list[dict[str, Any]]:
            return [each for each in self.house.app.decisions.latest() if each["duration_s"] is not None]

        until(lambda: len(traces()) >= count)
        return traces()[::-1][-count:]

    def get(self, path: str, *fields: str) -> int:
        def ask() -> int:
            with HttpPhone(port_of(self.http)) as phone:
                return phone.get(f"/{path}", *fields).status

        return outside(ask)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with ExitStack() as opened:
        yield Site(tmp_path, opened)


def test_a_phones_whole_boot(site: Site) -> None:
    tell(Path("dhcp.sock"), commit(LOOPBACK, MAC, "06053.61.6d.70.6c.65"))
    until(lambda: len(site.house.devices) == 1 and site.house.the_device().get("configured"))
    assert site.get("Sample/common.cfg") == 200
    assert site.get(f"{OWN}?password=s3cret", AGENT) == 200
    size = (site.house.root() / OWN).stat().st_size

    def fetch() -> bytes:
        with TftpPhone(port_of(site.tftp)) as phone:
            return phone.fetch(OWN)

    outside(fetch)
    assert site.get("nothing") == 404
    traces = site.ended(5)
    device_id = site.house.the_device()["id"]
    shown = [(each["protocol"], each["path"], each["rule"], each["file"], each["result"]) for each in traces]
    assert shown == [
        ("dhcp", "commit", "no device has this address", None, "noted"),
        ("http", "Sample/common.cfg", "ip", "Sample/common.cfg", "200 complete"),
        ("http", OWN, "mac", OWN, "200 complete"),
        ("tftp", OWN, "mac", OWN, "complete"),
        ("http", "nothing", "ip", None, "404 No such file for this phone."),
    ]
    assert [each["bytes"] for each in traces] == [0, len(b"server=192.0.2.10"), size, size, 0]
    assert {each["device"] for each in traces} == {device_id}
    assert all(0 <= each["duration_s"] < 60 for each in traces)
    assert [each["time"] for each in traces] == sorted(each["time"] for each in traces)
    assert "s3cret" not in str(traces)
    assert len(site.house.app.decisions.of_device(device_id)) == 5


@pytest.mark.parametrize(
    ("ask", "result"),
    [
        (lambda site: site.get("favicon.ico"), "404 No plugin serves this phone."),
        (lambda site: outside(tftp_answer, site, "pxelinux.0"), "error 1: no plugin serves this phone"),
    ],
)
def test_a_stranger(site: Site, ask: Callable[[Site], object], result: str) -> None:
    ask(site)
    (trace,) = site.ended(1)
    assert (trace["device"], trace["result"], trace["bytes"]) == (None, result, 0)
    assert site.house.app.decisions.of_nobody(LOOPBACK) == [trace]


def tftp_answer(site: Site, name: str) -> bytes | None:
    with TftpPhone(port_of(site.tftp)) as phone:
        return phone.answer(name)


def test_phones_that_ask_together_have_a_trace_for_each_request(site: Site) -> None:
    jobs = [gevent.spawn(site.get, OWN, AGENT) for _ in range(20)]
    gevent.joinall(jobs, raise_error=True, timeout=20)
    assert {each.value for each in jobs} == {200}
    traces = site.ended(20)
    assert len(traces) == len(site.house.app.decisions) == 20
    assert sum(each["admission"] == "admitted" for each in traces) == 1
