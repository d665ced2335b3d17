"""A server with a good file and with secrets, and the look whether it is unharmed."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.integration.clients import TFTP_ABORT, HttpPhone, TftpPhone, boot
from tests.integration.server import RunningServer, wait_until

CORPUS = Path(__file__).parent / "corpus"
GOOD_CONTENT = b"the good file\n" * 100
SECRET = b"This-Must-Never-Leave-The-Server"
SECRETS = (SECRET, b"root:x:0:0", b"sip_lines", b"SQLite format 3")
MAX_GROWTH_MB = 32

_SECURITY_LINE = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "
    r'(Sensitive file requested from 127\.0\.0\.1: "[ !#-\[\]-~\\]{1,600}" owner=(known|none|other) device=[0-9a-f-]+'
    r"|New device created automatically from 127\.0\.0\.1: [0-9a-f]{32})"
)

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def bounded(examples: int) -> settings:
    """So many examples, always the same ones; the environment may ask for more, which then vary."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def corpus(folder: str) -> dict[str, bytes]:
    """The entries of a corpus by name."""
    paths = sorted((CORPUS / folder).iterdir())
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


@st.composite
def mutated(draw: st.DrawFn, entries: Sequence[bytes]) -> bytes:
    """An entry of a corpus after a few changes."""
    content = bytearray(draw(st.sampled_from(entries))[:4000])
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 20)))
        change = draw(st.sampled_from(("replace", "insert", "cut", "double", "truncate", "splice")))
        if change == "replace":
            content[start:end] = draw(st.binary(min_size=end - start, max_size=end - start))
        elif change == "insert":
            content[start:start] = draw(st.binary(max_size=20))
        elif change == "cut":
            del content[start:end]
        elif change == "double":
            content[end:end] = content[start:end] * draw(st.integers(1, 5))
        elif change == "truncate":
            del content[start:]
        else:
            content[start:] = draw(st.sampled_from(entries))[start : start + 2000]
    return bytes(content)


class Guard:
    """Plants the secrets, and looks at the server from outside."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        tftpboot = server.tftpboot()
        boot(server.http_port)
        (tftpboot / "good").write_bytes(GOOD_CONTENT)
        outside = tftpboot.parent / "tftpboot-evil"
        outside.mkdir()
        for path in (outside / "x", tftpboot / ".hidden", tftpboot.parent / "x", *_parents(tftpboot, server.state)):
            path.write_bytes(SECRET)
        (tftpboot / "link-outside").symlink_to(outside / "x")
        (tftpboot / "folder-outside").symlink_to("/etc")
        self._memory_mb = 0.0
        self._clients: dict[int, TftpPhone] = {}

    def tftp_exchange(self, packets: Sequence[tuple[int, bool, bytes]]) -> None:
        """Send packets from several clients, and see that the server is well after it.

        A packet comes with its client's number, and whether it goes to the transfer that answered last, if one did.
        A client listens to the end, because the answer to a phone that is new takes longer than the next exchanges.
        """
        for number, to_transfer, packet in packets:
            if number not in self._clients:
                self._clients[number] = TftpPhone(self.server.tftp_port)
            client = self._clients[number]
            if to_transfer:
                self._read(0.01)
            receiver = client.transfers[-1] if to_transfer and client.transfers else client.server
            client.send(packet[:65_000], receiver)
        self.assert_good_tftp()
        self._await_quiet()

    def http_exchange(self, pieces: Sequence[bytes], ending: str = "end") -> bytes:
        """Send pieces on a connection, and see that the server is well after it; returns what was answered."""
        answer = b""
        with HttpPhone(self.server.http_port, timeout_s=60) as phone:
            try:
                for piece in pieces:
                    phone.send(piece)
                if ending == "end":
                    phone.socket.shutdown(1)
                    answer = phone.rest()
            except OSError:
                answer = phone.rest()  # the server has had enough
        assert_no_secret(answer)
        assert answer[:9] in (b"", b"HTTP/1.1 "), answer[:100]
        self.assert_good_http()
        return answer

    def assert_good_tftp(self) -> None:
        """A phone gets its file by TFTP."""
        with TftpPhone(self.server.tftp_port, timeout_s=30) as phone:
            assert phone.fetch("good") == GOOD_CONTENT

    def assert_good_http(self) -> None:
        """A phone gets its file by HTTP."""
        with HttpPhone(self.server.http_port, timeout_s=30) as phone:
            assert phone.get("/good").body == GOOD_CONTENT

    def remember_memory(self) -> None:
        """Take the memory of now, when all kinds of input were seen, as what is normal."""
        self._memory_mb = self._memory()

    def assert_unharmed(self) -> None:
        """Nothing is left of what was done, and nothing of it was written where it should not."""
        self._await_quiet()
        self.server.assert_free_resources()
        self.server.assert_no_errors()
        lines = self.server.security_lines()
        assert [line for line in lines if not _SECURITY_LINE.fullmatch(line)] == []
        assert not self._memory_mb or self._memory() - self._memory_mb < MAX_GROWTH_MB
        for client in self._clients.values():
            client.socket.close()

    def _memory(self) -> float:
        status = Path("/proc", str(self.server.process.pid), "status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def _read(self, seconds: float) -> None:
        """Read what comes to the clients, waiting so long for the first packet, and look for secrets in it."""
        by_socket = {client.socket: client for client in self._clients.values()}
        while ready := select.select(list(by_socket), [], [], seconds)[0]:
            seconds = 0
            for each in ready:
                assert_no_secret(by_socket[each].receive(0) or b"")

    def _await_quiet(self) -> None:
        wait_until(self._is_quiet, 60, "the end of all transfers")

    def _is_quiet(self) -> bool:
        """Abort the transfers that have answered; tell whether none is left."""
        self._read(0)
        for client in self._clients.values():
            for transfer in client.transfers:
                client.send(TFTP_ABORT, transfer)
            client.transfers.clear()
        return self.server.status()["doors"]["tftp"]["transfers"] == 0


def assert_no_secret(answer: bytes) -> None:
    """The answer holds none of the secrets."""
    for secret in SECRETS:
        assert secret not in answer


def _parents(tftpboot: Path, state: Path) -> Iterator[Path]:
    """A secret in each folder from the phones' files up to the server's own folder."""
    for folder in tftpboot.parents:
        yield folder / "secret"
        yield folder / "plugin-info"
        if folder == state:
            return
