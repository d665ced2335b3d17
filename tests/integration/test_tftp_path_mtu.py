"""Large blocks over a path with a small MTU, where a firewall drops what routers say of it.

A server, a router and a client, each in a network namespace of its own; the way from the router to the client carries
1,400 bytes, and no ICMP gets back to the server.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clients import program

CONTENT = random.Random(13).randbytes(100_000)

SERVER = """
import sys
import gevent
from pathlib import Path
from provd.plugins.files import open_file
from provd.serving.tftp import TftpDoor, TftpOptions
from provd.serving.udp import open_udp_socket

class Desk:
    def knows(self, address):
        return False

    def turned_away(self, request, reason):
        pass

    def quick(self, request):
        return open_file(sys.argv[1], request.path)
    handle = quick

door = TftpDoor([open_udp_socket("", 69)], Desk(), TftpOptions(single_port=sys.argv[2] == "single"))
door.start()
print("ready", flush=True)
gevent.sleep(120)
"""

CLIENT = """
import sys
from tests.integration.clients import TftpPhone, tftp_options
_, host, source, target = sys.argv
with TftpPhone(69, source, host, timeout_s=8) as phone:
    content = phone.fetch("file", blksize=1468)
open(target, "wb").write(content)
"""

LAYOUT = """
link add {n}s0 netns {n}s type veth peer name {n}r0 netns {n}r
link add {n}c0 netns {n}c type veth peer name {n}r1 netns {n}r
-n {n}s addr add 10.9.1.1/24 dev {n}s0
-n {n}r addr add 10.9.1.2/24 dev {n}r0
-n {n}c addr add 10.9.2.1/24 dev {n}c0
-n {n}r addr add 10.9.2.2/24 dev {n}r1
-n {n}s addr add fd09:1::1/64 dev {n}s0 nodad
-n {n}r addr add fd09:1::2/64 dev {n}r0 nodad
-n {n}c addr add fd09:2::1/64 dev {n}c0 nodad
-n {n}r addr add fd09:2::2/64 dev {n}r1 nodad
-n {n}s link set {n}s0 up
-n {n}r link set {n}r0 up
-n {n}r link set {n}r1 mtu 1400 up
-n {n}c link set {n}c0 mtu 1400 up
-n {n}s route add default via 10.9.1.2
-n {n}c route add default via 10.9.2.2
-n {n}s route add default via fd09:1::2
-n {n}c route add default via fd09:2::2
-n {n}r rule add iif lo to 10.9.1.1 ipproto icmp blackhole
-n {n}r -6 rule add iif lo to fd09:1::1 ipproto ipv6-icmp blackhole
"""


def ip(*arguments: str) -> None:
    subprocess.run([program("ip"), *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """The three namespaces; the name that theirs begin with."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"p{os.getpid() % 1_000_000}"
    namespaces = [f"{name}{end}" for end in "src"]
    made = []
    try:
        try:
            for namespace in namespaces:
                ip("netns", "add", namespace)
                made.append(namespace)
                ip("-n", namespace, "link", "set", "lo", "up")
            for line in LAYOUT.format(n=name).strip().splitlines():
                ip(*line.split())
            for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
                ip("netns", "exec", f"{name}r", "sysctl", "-qw", f"{key}=1")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no such network can be made here: {error.stderr.decode().strip()}")
        yield name
    finally:
        for namespace in made:
            ip("netns", "del", namespace)


def python_in(namespace: str, code: str, *arguments: str) -> list[str]:
    return [program("ip"), "netns", "exec", namespace, sys.executable, "-c", code, *arguments]


@pytest.mark.parametrize("mode", ["ports", "single"])
@pytest.mark.parametrize(("host", "source"), [("10.9.1.1", "10.9.2.1"), ("fd09:1::1", "fd09:2::1")])
def test_blocks_that_are_larger_than_the_path_arrive(
    network: str, tmp_path: Path, mode: str, host: str, source: str
) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    target = tmp_path / "target"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = python_in(f"{network}s", SERVER, str(tmp_path.resolve()), mode)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            client = python_in(f"{network}c", CLIENT, host, source, str(target))
            subprocess.run(client, check=True, timeout=60, env=environment)
        finally:
            server.kill()
    assert target.read_bytes() == CONTENT
