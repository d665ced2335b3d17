"""A network of the benchmark's own: nothing leaves it, every port is free, and the kernel's counters are ours alone."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_INSIDE = "PROVD_BENCH_PRIVATE_NETWORK"
_WAYS = (("unshare", "--net"), ("unshare", "--map-root-user", "--net"))
"""As root, and as a user where the system lets users make namespaces."""

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_LOSSES = {"/proc/net/netstat": ("TcpExt", "ListenDrops"), "/proc/net/snmp": ("Udp", "RcvbufErrors")}
"""Connections and datagrams that the kernel dropped because a server's queue was full."""


def enter_private_network() -> bool:
    """Start the program again in a network namespace that has a loopback only; True once it runs there.

    False if the system does not allow it: then the benchmark runs on the machine's own loopback.
    """
    if os.environ.get(_INSIDE):
        _raise_loopback()
        return True
    for way in _WAYS:
        try:
            allowed = subprocess.run((*way, "true"), stderr=subprocess.DEVNULL, check=False).returncode == 0
        except FileNotFoundError:
            return False
        if allowed:
            os.environ[_INSIDE] = "1"
            os.execvp(way[0], [*way, sys.executable, *sys.argv])
    return False


def kernel_losses() -> int:
    """How many connections and datagrams the kernel dropped so far for want of room."""
    total = 0
    for path, (group, name) in _LOSSES.items():
        lines = [line.split() for line in Path(path).read_text().splitlines() if line.startswith(f"{group}:")]
        total += int(lines[1][lines[0].index(name)])
    return total


def free_port() -> int:
    """A port that is free for TCP and UDP on 127.0.0.1 now."""
    for _ in range(100):
        with socket.socket(type=socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])
    raise OSError("no free port")


def _raise_loopback() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
