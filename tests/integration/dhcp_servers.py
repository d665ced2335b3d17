"""Real DHCP servers that have been given a snippet: whether they take it, and what they answer phones with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = {"isc": "dhcpd", "kea": "kea-dhcp4", "dnsmasq": "dnsmasq"}
CLIENT = Path(__file__).with_name("dhcp_client.py")
SERVER_ADDRESS, RELAY_ADDRESS = "10.99.0.1", "10.99.0.2"
SUBNET_66 = b"subnet"
"""What the servers tell everybody in option 66 who is no phone."""


@dataclass(frozen=True, slots=True)
class Client:
    """A machine that asks for an address; without `asks_for` it names no options (55) at all."""

    mac: str
    vendor_class: bytes | None = None
    asks_for: Sequence[int] | None = (1, 3, 6)


def program(server: str) -> str:
    """The server's program; the test is skipped if it is not there, but fails where CI promises it."""
    name = PROGRAMS[server]
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed")
    return str(found)


def own_copy(server: str, folder: Path) -> str:
    """A copy of the program, which no AppArmor profile keeps from reading the test's folder."""
    copy = folder / PROGRAMS[server]
    if not copy.exists():
        shutil.copy(program(server), copy)
    return str(copy)


def environment(folder: Path) -> dict[str, str]:
    """An environment in which Kea keeps its lock and its process id in the folder."""
    return {**os.environ, "KEA_LOCKFILE_DIR": str(folder), "KEA_PIDFILE_DIR": str(folder)}


def check(server: str, snippet: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the server says of a configuration that consists of a subnet and the snippet."""
    arguments = {"isc": ["-t", "-cf"], "kea": ["-t"], "dnsmasq": ["--test", "-C"]}[server]
    file = snippet
    if server == "isc":
        file = folder / "dhcpd.conf"
        file.write_text(f'include "{snippet}";\nsubnet 192.0.2.0 netmask 255.255.255.0 {{ }}\n')
    command = [own_copy(server, folder), *arguments, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(folder))


def can_have_networks() -> bool:
    """Tell whether namespaces for networks can be made here, as root."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"provd-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    return made and subprocess.run(["ip", "netns", "del", name], capture_output=True).returncode == 0


@contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Two namespaces that a cable joins: the server's, and the one of a relay to the clients."""
    ours, theirs = f"provd-s{os.getpid()}", f"provd-c{os.getpid()}"
    try:
        for name in (ours, theirs):
            _ip("netns", "add", name)
        _ip("link", "add", "lan", "netns", ours, "type", "veth", "peer", "name", "lan", "netns", theirs)
        for name, address in ((ours, SERVER_ADDRESS), (theirs, RELAY_ADDRESS)):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "lan")
            _ip("-n", name, "link", "set", "lan", "up")
        yield ours, theirs
    finally:
        for name in (ours, theirs):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def configuration(server: str, snippet: Path, folder: Path) -> Path:
    """A whole configuration with the snippet in it, with a pool of addresses and an option 66 for everybody."""
    file = folder / f"{server}.conf"
    if server == "isc":
        (folder / "leases").touch()
        file.write_text(
            f'authoritative;\nping-check false;\ninclude "{snippet}";\nsubnet 10.99.0.0 netmask 255.255.255.0 {{\n'
            f'    range 10.99.0.20 10.99.0.250;\n    option tftp-server-name "{SUBNET_66.decode()}";\n}}\n'
        )
    elif server == "dnsmasq":
        file.write_text(
            f"port=0\nno-ping\nuser=root\ninterface=lan\ndhcp-leasefile={folder}/leases\nconf-file={snippet}\n"
            f'dhcp-range=10.99.0.20,10.99.0.250,1h\ndhcp-option=66,"{SUBNET_66.decode()}"\n'
        )
    else:
        file.write_text(
            '{ "Dhcp4": { "interfaces-config": {"interfaces": ["lan"], "dhcp-socket-type": "udp"},\n'
            '"lease-database": {"type": "memfile", "persist": false},\n'
            '"subnet4": [{"id": 1, "subnet": "10.99.0.0/24", "pools": [{"pool": "10.99.0.20-10.99.0.250"}]}],\n'
            f'"option-data": [{{"name": "tftp-server-name", "data": "{SUBNET_66.decode()}"}}],\n'
            f'<?include "{snippet}"?>\n}} }}\n'
        )
    return file


def answers(server: str, snippet: Path, folder: Path, clients: Sequence[Client]) -> list[dict[int, bytes]]:
    """The options that each client gets from a server which runs with the snippet."""
    file = configuration(server, snippet, folder)
    command = {
        "isc": ["-4", "-f", "-q", "-cf", str(file), "-lf", f"{folder}/leases", "-pf", f"{folder}/pid", "lan"],
        "kea": ["-c", str(file)],
        "dnsmasq": ["--no-daemon", f"--conf-file={file}", f"--pid-file={folder}/pid"],
    }[server]
    log = folder / "server.log"
    with network() as (ours, theirs), log.open("w") as output:
        running = subprocess.Popen(
            ["ip", "netns", "exec", ours, own_copy(server, folder), *command],
            stdout=output, stderr=output, env=environment(folder),
        )  # fmt: skip
        try:
            time.sleep(0.5)
            result = subprocess.run(
                ["ip", "netns", "exec", theirs, sys.executable, str(CLIENT), RELAY_ADDRESS, SERVER_ADDRESS],
                input=json.dumps([_as_json(client) for client in clients]),
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert result.returncode == 0, result.stderr + log.read_text()
            time.sleep(0.5)  # for the hook, which dnsmasq and Kea do not wait for
        finally:
            running.terminate()
            running.wait(20)
    return [{int(code): bytes.fromhex(value) for code, value in each.items()} for each in json.loads(result.stdout)]


def _as_json(client: Client) -> dict[str, object]:
    return {
        "mac": client.mac,
        "vendor_class": None if client.vendor_class is None else client.vendor_class.hex(),
        "asks_for": None if client.asks_for is None else list(client.asks_for),
    }


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
