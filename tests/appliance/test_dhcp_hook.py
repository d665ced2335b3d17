"""The DHCP hook as it is installed: ISC dhcpd, Kea and dnsmasq tell provd of real leases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provd import __version__
from tests.appliance.bed import SERVER, UNIT, Bed, wait_until
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
)  # fmt: skip

HOOK = "/usr/libexec/xivo-provd/xivo-provd-dhcp-hook"
DHCP_SOCKET = "xivo-provd-dhcp.socket"
KEA_LIBRARY = "/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so"
NETWORK = SERVER.rpartition(".")[0]
UNITS = {ISC: "isc-dhcp-server.service", KEA: "kea-dhcp4-server.service", DNSMASQ: "test-dnsmasq.service"}
DNSMASQ_UNIT = "[Service]\nExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/etc/test-dnsmasq.conf\n"

DEVICES = """
import json, sqlite3
database = sqlite3.connect("file:/var/lib/xivo-provd/provd.db?mode=ro", uri=True)
rows = database.execute("SELECT document FROM documents WHERE collection = 'devices'")
print(json.dumps([json.loads(row[0]) for row in rows]))
"""

TIMING = """
import subprocess, sys, time
began = time.monotonic()
for _ in range(50):
    subprocess.run(sys.argv[1:], check=True)
print((time.monotonic() - began) / 50 * 1000)
"""


def devices(bed: Bed) -> dict[str, dict[str, Any]]:
    """The devices, as they are on the disk, by MAC address."""
    return {device.get("mac"): device for device in json.loads(bed.exec("python3", "-c", DEVICES))}


def wait_for_address(bed: Bed, mac: str, addresses: list[str] | None) -> dict[str, Any]:
    """Wait until the device with this MAC address has one of the addresses, or none; returns it."""

    def there() -> bool:
        device = devices(bed).get(mac, {"ip": "no device"})
        return device.get("ip") in addresses if addresses else not device.get("ip")

    wait_until(there, 20, f"{mac} at {addresses}")
    return devices(bed)[mac]


@dataclass
class DhcpServer:
    """One of the DHCP servers, in the server, and a phone in client 1."""

    bed: Bed
    name: str

    def start(self, first: int) -> Pool:
        """Begin anew, with eleven addresses from `first` on, and no lease."""
        pool = Pool(NETWORK, "eth0", first)
        self.stop()
        if self.name == ISC:
            self.bed.write("/etc/dhcp/dhcpd.conf", dhcpd_conf(pool, ["dxtorc"]))
        elif self.name == KEA:
            conf = kea_conf(pool, HOOK, library=KEA_LIBRARY, leases="/var/lib/kea/kea-leases4.csv")
            self.bed.write("/etc/kea/kea-dhcp4.conf", conf)
        else:
            self.bed.write("/etc/test-dnsmasq.conf", dnsmasq_conf(pool, HOOK, folder="/run"))
        self.bed.exec("systemctl", "start", UNITS[self.name])
        return pool

    def stop(self) -> None:
        """End, and forget the leases."""
        self.bed.exec("systemctl", "stop", UNITS[self.name])
        self.bed.exec("sh", "-c", "rm -f /var/lib/dhcp/dhcpd.leases* /var/lib/kea/kea-leases4.csv* /run/dnsmasq.leases")
        self.bed.exec("touch", "/var/lib/dhcp/dhcpd.leases")

    def phone_boots(self, mac: str, *, release: bool = False) -> None:
        """A phone gets a lease, and may give it back at once."""
        self.bed.client("ip", "link", "set", "eth0", "address", mac)
        self.bed.client(*udhcpc("eth0", "/shared/udhcpc-script", release=release))

    def said(self) -> str:
        """What the hook had to say to the DHCP server's log, or to the system's."""
        journal = self.bed.exec("journalctl", "--boot", "--no-pager").splitlines()
        return "".join(line for line in journal if "xivo-provd-dhcp-hook" in line)


@pytest.fixture(scope="module")
def bed_with_servers(appliance: Bed) -> Bed:
    """The appliance with the DHCP servers, none of which runs."""
    units = ["isc-dhcp-server.service", "isc-dhcp-server6.service", "kea-dhcp4-server.service"]
    appliance.exec("systemctl", "mask", *units)
    appliance.install("isc-dhcp-server", "kea-dhcp4-server", "dnsmasq-base")
    appliance.exec("systemctl", "unmask", *units)
    appliance.write(f"/etc/systemd/system/{UNITS[DNSMASQ]}", DNSMASQ_UNIT)
    appliance.write("/etc/default/isc-dhcp-server", "INTERFACESv4=eth0\n")
    appliance.write("/etc/xivo-provd/conf.d/log.toml", '[general]\nlog_level = "debug"\n')
    appliance.exec("systemctl", "daemon-reload")
    appliance.exec("systemctl", "restart", UNIT)  # the user _kea is new
    script = appliance.shared / "udhcpc-script"
    script.write_text(UDHCPC_SCRIPT)
    script.chmod(0o755)
    return appliance


@pytest.fixture(params=SERVERS)
def dhcp(request: pytest.FixtureRequest, bed_with_servers: Bed) -> Iterator[DhcpServer]:
    """Each of the DHCP servers; started by the test."""
    server = DhcpServer(bed_with_servers, request.param)
    yield server
    server.stop()


def test_the_units_are_right(appliance: Bed) -> None:
    assert appliance.exec("systemd-analyze", "verify", "--man=no", UNIT, "xivo-provd.socket", DHCP_SOCKET) == ""
    assert set(appliance.show("TriggeredBy").split()) == {"xivo-provd.socket", DHCP_SOCKET}
    shown = {name: appliance.show(name, DHCP_SOCKET) for name in ("ActiveState", "UnitFileState", "PassCredentials")}
    assert shown == {"ActiveState": "active", "UnitFileState": "enabled", "PassCredentials": "yes"}
    assert appliance.status()["doors"]["dhcp"]["listening"] == ["/run/xivo-provd/dhcp.sock"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/xivo-provd", "755 root:root"),
        ("/run/xivo-provd/dhcp.sock", "666 root:root"),
        ("/run/xivo-provd/admin.sock", "660 root:xivo-provd"),
        (HOOK, "755 root:root"),
        ("/etc/apparmor.d/dhcpd.d/xivo-provd", "644 root:root"),
    ],
)
def test_owners_and_modes(appliance: Bed, path: str, expected: str) -> None:
    assert appliance.exec("stat", "--format", "%a %U:%G", path).strip() == expected


@pytest.mark.parametrize("name", ["xivo-provd-dhcp-hook", "dxtorc", "/usr/share/kea/scripts/xivo-provd-dhcp-hook"])
def test_the_hook_has_several_names(appliance: Bed, name: str) -> None:
    assert appliance.exec("sh", "-c", 'readlink -f "$(command -v "$0")"', name).strip() == HOOK
    assert appliance.exec(name, "--help").startswith("usage: xivo-provd-dhcp-hook")


def test_a_phone_comes_moves_and_goes(dhcp: DhcpServer) -> None:
    bed, mac = dhcp.bed, f"00:08:5d:55:01:{SERVERS.index(dhcp.name):02x}"
    pool = dhcp.start(100)
    dhcp.phone_boots(mac)
    device = wait_for_address(bed, mac, pool.addresses)
    assert (device["vendor"], device["plugin"]) == ("Aastra", "xivo-aastra-3.3.1-SP2")
    assert device.get("model") == ("6731i" if TELLS_OPTIONS[dhcp.name] else None)

    pool = dhcp.start(150)
    dhcp.phone_boots(mac)
    assert wait_for_address(bed, mac, pool.addresses)["id"] == device["id"]

    dhcp.phone_boots(mac, release=True)
    assert wait_for_address(bed, mac, None)["id"] == device["id"]
    assert f"device lost its address: device={device['id']}" in bed.journal()
    assert dhcp.said() == ""


def test_no_phone_waits_for_a_provd_that_is_not_there(dhcp: DhcpServer) -> None:
    bed, mac = dhcp.bed, f"00:08:5d:55:02:{SERVERS.index(dhcp.name):02x}"
    bed.exec("journalctl", "--rotate")
    bed.exec("journalctl", "--vacuum-time=1s")
    bed.exec("systemctl", "stop", "xivo-provd.socket")
    try:
        assert not bed.is_active(DHCP_SOCKET), "stopped with the other sockets, so that nothing starts the server"
        dhcp.start(100)
        dhcp.phone_boots(mac)
        advice = "No such file or directory: provd is not there to be told: systemctl start xivo-provd-dhcp.socket"
        wait_until(lambda: advice in dhcp.said(), 10, "the line in the journal")
    finally:
        bed.exec("systemctl", "start", UNIT)
    assert bed.is_active(DHCP_SOCKET)
    assert mac not in devices(bed)


def tell(bed: Bed, number: int, user: str = "root", operation: str = "commit") -> str:
    """Run the hook as a user; the MAC address of the phone that it tells of."""
    mac = f"00:08:5d:55:03:{number:02x}"
    bed.exec("runuser", "-u", user, "--", HOOK, operation, f"10.55.1.{number}", mac)
    return mac


def test_users_that_run_dhcp_servers_are_believed_and_no_others(bed_with_servers: Bed) -> None:
    bed = bed_with_servers
    believed = {user: tell(bed, number, user) for number, user in enumerate(["root", "_kea", "xivo-provd"], 1)}
    for number, mac in enumerate(believed.values(), 1):
        wait_for_address(bed, mac, [f"10.55.1.{number}"])
    refused = bed.status()["doors"]["dhcp"].get("refused", 0)
    before = devices(bed)
    tell(bed, 9, "nobody")
    tell(bed, 1, "nobody", "release")
    wait_until(lambda: bed.status()["doors"]["dhcp"].get("refused", 0) == refused + 2, 10, "the refusals")
    assert devices(bed) == before
    assert "message about a lease refused: user=nobody advice='see the setting dhcp.users'" in bed.journal()


def test_a_server_that_is_stopped_is_started_by_an_event(bed_with_servers: Bed) -> None:
    bed_with_servers.exec("systemctl", "stop", UNIT)
    mac = tell(bed_with_servers, 20)
    wait_for_address(bed_with_servers, mac, ["10.55.1.20"])
    assert bed_with_servers.is_active()


def test_no_event_is_lost_while_the_server_is_restarted(bed_with_servers: Bed) -> None:
    bed, count = bed_with_servers, 200
    script = (
        "systemctl restart --no-block xivo-provd.service; i=1; while [ $i -le $0 ]; do "
        f"{HOOK} commit 10.55.2.$i 00:08:5d:55:04:$(printf %02x $i) 2>&1 || exit 1; i=$((i+1)); done"
    )
    pid = bed.show("MainPID")
    assert bed.exec("sh", "-c", script, str(count)) == ""
    macs = {f"00:08:5d:55:04:{number:02x}" for number in range(1, count + 1)}
    wait_until(lambda: macs <= set(devices(bed)), 30, "all devices")
    assert bed.show("MainPID") not in ("0", pid)


def test_the_hook_is_quick(appliance: Bed, figure: Any) -> None:
    taken_ms = float(appliance.exec("python3", "-c", TIMING, HOOK, "tftp"))
    figure("DHCP hook, one run", f"{taken_ms:.1f} ms")
    assert taken_ms < 100


@pytest.fixture(scope="module")
def older(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same packages as a version before there was a hook would have been."""
    folder = tmp_path_factory.mktemp("older")
    made = []
    for package in packages:
        tree = folder / package.stem
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        control = tree / "DEBIAN" / "control"
        control.write_text(control.read_text().replace(__version__, "26.1"))
        for unit in tree.glob(f"lib/systemd/system/{DHCP_SOCKET}"):
            unit.unlink()
            service = unit.with_name(UNIT)
            service.write_text(service.read_text().replace(f"Sockets={DHCP_SOCKET}\n", ""))
            for script in ("postinst", "postrm"):
                lines = (tree / "DEBIAN" / script).read_text().replace(DHCP_SOCKET, "xivo-provd.socket")
                (tree / "DEBIAN" / script).write_text(lines)
        made.append(folder / package.name)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, made[-1]], check=True, capture_output=True)
    return made


def test_an_upgrade_from_a_version_without_the_socket_brings_it(
    bed_with_servers: Bed, older: list[Path], packages: list[Path]
) -> None:
    bed = bed_with_servers
    bed.exec("apt-get", "-q", "-y", "purge", "xivo-provd", "xivo-provd-plugins", timeout_s=120)
    bed.install(*older)
    bed.wait_active()
    assert not bed.succeeds("test", "-e", "/run/xivo-provd/dhcp.sock")
    since = bed.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket")
    bed.install(*packages)
    assert bed.is_active()
    assert bed.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket") == since
    assert bed.show("UnitFileState", DHCP_SOCKET) == "enabled"
    wait_for_address(bed, tell(bed, 30), ["10.55.1.30"])
