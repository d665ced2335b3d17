"""The clients that play phones: real programs, and a few lines where none can do what a phone does."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

MAC = "00:08:5d:23:74:29"
USER_AGENT = "Aastra6731i MAC:00-08-5D-23-74-29 V:3.3.1.4305-SIP"
CONFIG = "00085D237429.cfg"

DEBIAN_PACKAGES = {
    "curl": "curl", "tftp": "tftp-hpa", "atftp": "atftp", "busybox": "busybox",
    "ip": "iproute2", "systemd-socket-activate": "systemd",
    "dhcpd": "isc-dhcp-server", "kea-dhcp4": "kea-dhcp4-server", "dnsmasq": "dnsmasq-base",
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


# --- packet by packet, for what no outside program does


def boot(port: int, source: str = "127.0.0.1", mac: str = MAC, host: str = "127.0.0.1") -> None:
    """Make an address a known phone's, so that it is served any file."""
    answer = http_get(port, "/Aastra/aastra.cfg", source=source, agent=user_agent(mac), host=host)
    assert answer.status == 200


def tftp_request(name: str | bytes, mode: str = "octet", opcode: int = 1, **options: object) -> bytes:
    """A TFTP request; opcode 2 makes it a write request."""
    parts = [name, mode, *[part for option in options.items() for part in option]]
    texts = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return struct.pack("!H", opcode) + b"".join(text + b"\0" for text in texts)


def tftp_ack(block: int) -> bytes:
    """A TFTP acknowledgement."""
    return struct.pack("!HH", 4, block & 0xFFFF)


TFTP_ABORT = b"\0\5\0\0enough\0"


class TftpPhone:
    """A TFTP client that sends what it is told; on leaving it aborts the transfers that it has seen."""

    def __init__(self, port: int, source: str = "127.0.0.1", host: str = "127.0.0.1", timeout_s: float = 20) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.timeout_s = timeout_s
        self.server = (host, port)
        self.transfers: list[tuple] = []

    def __enter__(self) -> TftpPhone:
        return self

    def __exit__(self, *_: object) -> None:
        for transfer in self.transfers:
            self.send(TFTP_ABORT, transfer)
        self.socket.close()

    def send(self, packet: bytes, to: tuple | None = None) -> None:
        """Send to an address; without one, to the transfer that answered last."""
        self.socket.sendto(packet, to or self.transfers[-1])

    def ask(self, name: str | bytes, mode: str = "octet", **options: object) -> None:
        """Send a read request."""
        self.send(tftp_request(name, mode, **options), self.server)

    def receive(self, timeout_s: float | None = None) -> bytes | None:
        """The next packet, or None if none comes in time."""
        self.socket.settimeout(self.timeout_s if timeout_s is None else timeout_s)
        try:
            packet, sender = self.socket.recvfrom(65536)
        except TimeoutError:
            return None
        if sender in self.transfers:
            self.transfers.remove(sender)
        self.transfers.append(sender)
        return packet

    def answer(self, name: str | bytes, mode: str = "octet", **options: object) -> bytes | None:
        """What a read request is answered."""
        self.ask(name, mode, **options)
        return self.receive()

    def begin(self, name: str, **options: object) -> bytes:
        """Ask for a file, and acknowledge the server's word that it repeats nothing for a minute; the first block."""
        assert tftp_options(self.answer(name, timeout=60, **options))["timeout"] == 60
        self.send(tftp_ack(0))
        return self.block(1)

    def block(self, number: int) -> bytes:
        """The content of a block; if the server was faster to repeat earlier ones, they are skipped."""
        while packet := self.receive():
            opcode, received = struct.unpack_from("!HH", packet)
            assert opcode == 3, packet[:100]
            if received == number & 0xFFFF:
                return packet[4:]
            assert (number - received) & 0xFFFF < 100, f"block {received} came instead of {number}"
        raise AssertionError(f"block {number} did not come")

    def fetch(self, name: str | bytes, mode: str = "octet", **options: object) -> bytes:
        """A whole file, with a window if the server agrees (RFC 7440)."""
        self.ask(name, mode, **options)
        agreed = tftp_options(self.receive()) if options else {}
        blksize, windowsize = agreed.get("blksize", 512), agreed.get("windowsize", 1)
        if agreed:
            self.send(tftp_ack(0))
        blocks: list[bytes] = []
        while not blocks or len(blocks[-1]) == blksize:
            blocks.append(self.block(len(blocks) + 1))
            if len(blocks[-1]) < blksize or len(blocks) % windowsize == 0:
                self.send(tftp_ack(len(blocks)))
        return b"".join(blocks)


def tftp_options(oack: bytes | None) -> dict[str, int]:
    """The options that an OACK packet agrees to."""
    assert oack is not None
    assert oack[:2] == b"\0\6", oack[:100]
    texts = oack[2:].decode("ascii").split("\0")
    return {name: int(value) for name, value in zip(texts[:-1:2], texts[1::2], strict=True)}


class HttpPhone:
    """An HTTP client that sends the bytes that it is told."""

    def __init__(self, port: int, source: str = "127.0.0.1", host: str = "127.0.0.1", timeout_s: float = 20) -> None:
        self.socket = socket.create_connection((host, port), timeout_s, (source, 0))
        self._input = self.socket.makefile("rb")

    def __enter__(self) -> HttpPhone:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(content)

    def get(self, path: str, *fields: str, method: str = "GET", version: str = "1.1") -> HttpAnswer:
        """Send a request with further header fields, and read the answer."""
        lines = [f"{method} {path} HTTP/{version}", "Host: x", *fields, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        return self.answer(with_body=method != "HEAD")

    def answer(self, *, with_body: bool = True) -> HttpAnswer:
        """Read the next answer; its status is 0 if the connection has ended."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._input.readline()
            if not line:
                return HttpAnswer(head)
            head += line
        length = int(HttpAnswer(head).headers.get("content-length", 0)) if with_body else 0
        return HttpAnswer(head + self._input.read(length))

    def rest(self) -> bytes:
        """All that comes until the connection ends, also if it ends with a reset."""
        pieces = []
        try:
            while piece := self._input.read1(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)


def http_raw(port: int, content: bytes, **options: object) -> bytes:
    """Send bytes, say that no more will come, and read all that is answered."""
    with HttpPhone(port, **options) as phone:
        try:
            phone.send(content)
            phone.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has had enough
        return phone.rest()


def assert_same(received: bytes, expected: bytes, what: str = "content") -> None:
    """Compare contents that are too large to be shown."""
    if received != expected:
        length = min(len(received), len(expected))
        first = next((index for index in range(length) if received[index] != expected[index]), length)
        raise AssertionError(f"{what}: {len(received)} bytes, not {len(expected)}; they differ from byte {first} on")
