"""The DHCP servers with which the hook was made, each with a phone, on a network of their own.

A namespace holds the server, another one the phone; provd itself runs outside, because the hook reaches it by a file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hooked_dhcp import (
    DNSMASQ,
    ISC,
    KEA,
    SERVERS,
    TELLS_OPTIONS,
    UDHCPC_SCRIPT,
    Pool,
    dhcpd_conf,
    dnsmasq_conf,
    kea_conf,
    udhcpc,
)
from tests.integration.clients import program
from tests.integration.server import RunningServer, wait_until

HOOK = Path(__file__).parents[2] / "dhcp" / "xivo-provd-dhcp-hook"
PROGRAMS = {ISC: "dhcpd", KEA: "kea-dhcp4", DNSMASQ: "dnsmasq"}
NETWORK = "10.9.3"
MAC = "00:08:5d:55:00:01"
COMPUTER = "02:00:00:55:00:01"


def ip(*arguments: str) -> None:
    subprocess.run([program("ip"), *arguments], check=True, capture_output=True, timeout=20)


CABLE = """
link add {n}s netns {n}s type veth peer {n}c netns {n}c
-n {n}s link set lo up
-n {n}s link set {n}s up
-n {n}c link set {n}c up
-n {n}s addr add {net}.1/24 dev {n}s
"""


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """The two namespaces, joined by a cable; the name that theirs, and the ends of the cable, begin with."""
    if os.geteuid() != 0:
        cannot("only root can make networks")
    name = f"d{os.getpid() % 1_000_000}"
    made = []
    try:
        for namespace in (f"{name}s", f"{name}c"):
            ip("netns", "add", namespace)
            made.append(namespace)
        for line in CABLE.format(n=name, net=NETWORK).strip().splitlines():
            ip(*line.split())
        yield name
    except subprocess.CalledProcessError as error:
        cannot(f"no such network can be made here: {error.stderr.decode().strip()}")
    finally:
        for namespace in made:
            ip("netns", "del", namespace)


def cannot(reason: str) -> None:
    """Skip these tests; in CI they fail."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass
class DhcpServer:
    """One of the DHCP servers, and a phone in its network. All that it keeps is in `folder`."""

    name: str
    network: str
    provd: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, first: int, size: int = 11) -> Pool:
        """Begin anew, with addresses from `first` on, and no lease."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        pool = Pool(NETWORK, f"{self.network}s", first, size)
        command = ["ip", "netns", "exec", f"{self.network}s", *self._command(pool)]
        environment = {
            **os.environ,
            "KEA_LOCKFILE_DIR": str(self.folder), "KEA_PIDFILE_DIR": str(self.folder),
            "KEA_HOOK_SCRIPTS_PATH": str(self.folder), "KEA_DHCP_DATA_DIR": str(self.folder),
        }  # fmt: skip
        with self._log().open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return pool

    def stop(self) -> None:
        """End, if it runs."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def phone_boots(self, mac: str = MAC, **options: Any) -> None:
        """A phone, or what else `vendor_class` says, gets a lease; with `release` it gives it back at once."""
        interface = f"{self.network}c"
        ip("-n", interface, "-4", "addr", "flush", "dev", interface)
        ip("-n", interface, "link", "set", interface, "address", mac)
        script = self._program("udhcpc-script", UDHCPC_SCRIPT)
        command = udhcpc(interface, str(script), **options)
        result = subprocess.run(
            ["ip", "netns", "exec", interface, *command], capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stdout + result.stderr + self.said()

    def said(self) -> str:
        """What the server said, and the hook in it."""
        return self._log().read_text(errors="replace")

    def _command(self, pool: Pool) -> list[str]:
        """The command that runs the server in the foreground; its configuration is written."""
        # AppArmor knows the servers by their paths, and would keep them from reading and running things elsewhere.
        server = self.folder / "server"
        shutil.copy(program(PROGRAMS[self.name]), server)
        hook = self._program("hook", f'#!/bin/sh\nexec {HOOK} --socket {self.provd} "$@"\n')
        conf = self.folder / "conf"
        if self.name == ISC:
            conf.write_text(dhcpd_conf(pool, [str(HOOK), "--socket", str(self.provd)]))
            (self.folder / "leases").touch()
            files = ["-cf", conf, "-lf", self.folder / "leases", "-pf", self.folder / "pid"]
            return [str(part) for part in (server, "-4", "-f", "-d", "-q", *files, pool.interface)]
        if self.name == KEA:
            leases = str(self.folder / "leases.csv")
            conf.write_text(kea_conf(pool, str(hook), library=kea_library(), leases=leases))
            return [str(server), "-c", str(conf)]
        conf.write_text(dnsmasq_conf(pool, str(hook), folder=str(self.folder)))
        return [str(server), "--keep-in-foreground", f"--conf-file={conf}"]

    def _program(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def _log(self) -> Path:
        return self.folder.parent / "dhcp-server.log"


def kea_library() -> str:
    """Where Kea has its library that runs programs."""
    found = sorted(Path("/usr/lib").glob("*/kea/hooks/libdhcp_run_script.so"))
    if not found:
        pytest.skip("libdhcp_run_script.so is missing: apt install kea-common")
    return str(found[0])


@pytest.fixture
def provd(start_server: Callable[..., RunningServer], tmp_path: Path) -> RunningServer:
    """A server that listens for the hook at `dhcp.sock`."""
    return start_server(arguments=["--dhcp-socket", str(tmp_path / "dhcp.sock")])


@pytest.fixture(params=SERVERS)
def dhcp(request: pytest.FixtureRequest, network: str, tmp_path: Path) -> Iterator[DhcpServer]:
    """Each of the DHCP servers; started by the test."""
    program("busybox")
    server = DhcpServer(request.param, network, tmp_path / "dhcp.sock", tmp_path / "dhcp")
    try:
        yield server
    finally:
        server.stop()


def addresses(provd: RunningServer) -> dict[str, str | None]:
    """The address of each device, by MAC address."""
    return {device["mac"]: device.get("ip") for device in provd.devices()}


def test_a_phone_comes_moves_and_goes(provd: RunningServer, dhcp: DhcpServer) -> None:
    pool = dhcp.start(100)
    dhcp.phone_boots()
    wait_until(lambda: addresses(provd).get(MAC) in pool.addresses, 20, "the device")
    wait_until(lambda: provd.devices()[0].get("configured"), 20, "the device's files")
    (device,) = provd.devices()
    assert device["vendor"] == "Aastra"
    assert device.get("model") == ("6731i" if TELLS_OPTIONS[dhcp.name] else None)

    pool = dhcp.start(150)
    dhcp.phone_boots()
    wait_until(lambda: addresses(provd).get(MAC) in pool.addresses, 20, "the other address")
    dhcp.phone_boots(release=True)
    wait_until(lambda: not addresses(provd)[MAC], 20, "the address forgotten")
    assert [each["id"] for each in provd.devices()] == [device["id"]]
    assert "xivo-provd-dhcp-hook:" not in dhcp.said()


def test_a_phone_gets_its_lease_though_provd_is_down(provd: RunningServer, dhcp: DhcpServer) -> None:
    assert provd.stop() == 0
    dhcp.start(100)
    dhcp.phone_boots()
    wait_until(lambda: "systemctl start xivo-provd-dhcp.socket" in dhcp.said(), 20, "the line in the log")
    provd.start()
    dhcp.phone_boots()
    wait_until(lambda: MAC in addresses(provd), 20, "the device")


def test_a_computer_that_gets_a_phones_address_is_no_phone(provd: RunningServer, dhcp: DhcpServer) -> None:
    (address,) = dhcp.start(100, size=1).addresses
    dhcp.phone_boots()
    wait_until(lambda: addresses(provd) == {MAC: address}, 20, "the device")
    dhcp.start(100, size=1)
    dhcp.phone_boots(COMPUTER, vendor_class="MSFT 5.0")
    wait_until(lambda: addresses(provd) == {MAC: None}, 20, "the address forgotten")
