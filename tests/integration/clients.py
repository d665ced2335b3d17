"""The clients that play phones: real programs, and a few lines where none can do what a phone does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MAC = "00:08:5d:23:74:29"
USER_AGENT = "Aastra6731i MAC:00-08-5D-23-74-29 V:3.3.1.4305-SIP"
CONFIG = "00085D237429.cfg"

DEBIAN_PACKAGES = {
    "curl": "curl", "tftp": "tftp-hpa", "atftp": "atftp", "busybox": "busybox",
    "ip": "iproute2", "systemd-socket-activate": "systemd",
}  # fmt: skip


def program(name: str) -> str:
    """The path of an outside program; the test is skipped with the package to install if it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: apt install {DEBIAN_PACKAGES[name]}")
    return path


def user_agent(mac: str, model: str = "6731i", version: str = "3.3.1.4305") -> str:
    """What an Aastra phone with this MAC address says of itself."""
    return f"Aastra{model} MAC:{mac.upper().replace(':', '-')} V:{version}-SIP"


def config_name(mac: str) -> str:
    """The name of an Aastra phone's own file."""
    return f"{mac.upper().replace(':', '')}.cfg"


class HttpAnswer:
    """What curl printed with `-i`: status, header fields (lower-case names), body."""

    def __init__(self, output: bytes) -> None:
        head, _, self.body = output.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def http_get(
    port: int, path: str, *options: str, agent: str = USER_AGENT, source: str = "127.0.0.1", host: str = "127.0.0.1"
) -> HttpAnswer:
    """Ask for a path with curl, from a source address; the path goes out as it is."""
    command = [
        program("curl"), "-sS", "-i", "--path-as-is", "--max-time", "20", "--interface", source,
        "-A", agent, *options, f"http://{host}:{port}{path}",
    ]  # fmt: skip
    return HttpAnswer(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)


def tftp_curl(port: int, name: str, *options: str, source: str = "127.0.0.1", host: str = "127.0.0.1") -> bytes:
    """Fetch a file with curl's TFTP client.

    Raises:
        CalledProcessError: the server refused; curl's exit status says how (68: not found, 69: permission).
    """
    command = [
        program("curl"), "-sS", "--path-as-is", "--max-time", "60", "--interface", source,
        *options, f"tftp://{host}:{port}/{name}",
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=90).stdout


def tftp_hpa(port: int, name: str, target: Path, mode: str = "octet", host: str = "127.0.0.1") -> None:
    """Fetch a file with tftp-hpa's client."""
    command = [program("tftp"), "-m", mode, host, str(port), "-c", "get", name, str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def tftp_atftp(port: int, name: str, target: Path, *options: str, host: str = "127.0.0.1") -> None:
    """Fetch a file with atftp, whose options are such as `blksize 1428`."""
    parts = [part for option in options for part in ("--option", option)]
    command = [program("atftp"), *parts, "--get", "-r", name, "-l", str(target), host, str(port)]
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def tftp_busybox(port: int, name: str, target: Path, blksize: int = 512, host: str = "127.0.0.1") -> None:
    """Fetch a file with busybox's client."""
    command = [program("busybox"), "tftp", "-g", "-b", str(blksize), "-r", name, "-l", str(target), host, str(port)]
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def tftp_tftpy(port: int, name: str, target: Path, options: dict | None = None, host: str = "127.0.0.1") -> None:
    """Fetch a file with tftpy's client."""
    from tftpy.TftpClient import TftpClient

    TftpClient(host, port, options or {}).download(name, str(target), timeout=5)
