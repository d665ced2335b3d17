"""The appliance: a Debian that was really booted, with clients on its network, driven by `testbed.sh`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVER = "10.55.0.1"
SERVER_IPV6 = "fd55::1"
UNIT = "xivo-provd.service"
SECURITY_LOG = "/var/log/xivo-provd-fail2ban.log"


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> float:
    """Return as soon as `condition` is true, with the seconds that took; fail after `timeout_s`."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise AssertionError(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.1)
    return time.monotonic() - start


class CommandError(AssertionError):
    """A command of the test bed, of the server or of a client failed."""


class Bed:
    """The machines: `exec` runs commands in the server, `client` in a client, both of them bounded in time.

    Client 1 has the address 10.55.0.11, client 2 10.55.0.12; the server is `SERVER`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        """A folder that is `/shared` in every machine."""

    # --- the machines

    def boot(self) -> float:
        """Start the machines if they do not run; the seconds until the server was up."""
        start = time.monotonic()
        self._run("boot", timeout_s=600)
        return time.monotonic() - start

    def stop(self) -> None:
        """Power off; the disks stay."""
        self._run("stop")

    def reset(self) -> None:
        """Power off, and make the disks what they were before anything was installed."""
        self._run("reset")

    def destroy(self) -> None:
        """End and remove everything but what is expensive to make."""
        self._run("destroy", "--keep-cache")

    # --- what runs in them

    def exec(self, *command: str | Path, timeout_s: float = 60, check: bool = True) -> str:
        """What a command says that root runs in the server; with `check`, it must end with 0."""
        return self._run("exec", *command, timeout_s=timeout_s, check=check)

    def succeeds(self, *command: str) -> bool:
        """Tell whether a command in the server ends with 0."""
        return self._process("exec", command, 60).returncode == 0

    def client(self, *command: str, number: int = 1, timeout_s: float = 60, check: bool = True) -> str:
        """What a command says that root runs in a client."""
        return self._run("netns-client", "-n", str(number), *command, timeout_s=timeout_s, check=check)

    def in_clients_network(self, *command: str | Path, number: int = 1) -> subprocess.Popen[str]:
        """A program of this machine, started in a client's network."""
        return subprocess.Popen(
            [HERE / "testbed.sh", "netns-host", "-n", str(number), *command],
            env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def install(self, *packages: str | Path) -> str:
        """Install packages, by name or file, with what they depend on."""
        return self._run("install", *packages, timeout_s=300)

    def push(self, *files: Path, to: str) -> None:
        """Copy files and folders of this machine into a folder of the server."""
        self._run("push", *files, to)

    def write(self, path: str, text: str) -> None:
        """Write a file of the server; its folders are made."""
        self.exec("sh", "-c", 'mkdir -p "$(dirname "$0")" && printf %s "$1" > "$0"', path, text)

    # --- the service

    def show(self, name: str, unit: str = UNIT) -> str:
        """A property of a unit."""
        return self.exec("systemctl", "show", "--property", name, "--value", unit).strip()

    def is_active(self, unit: str = UNIT) -> bool:
        """Tell whether a unit runs."""
        return self.exec("systemctl", "is-active", unit, check=False).strip() == "active"

    def wait_active(self, timeout_s: float = 20) -> float:
        """Wait until the service runs; the seconds that took."""
        return wait_until(self.is_active, timeout_s, f"{UNIT} is active")

    def ready_s(self) -> float:
        """How long the last start of the service took, from the first process until it said that it is ready."""
        begun, ended = (int(self.show(f"{name}TimestampMonotonic")) for name in ("InactiveExit", "ActiveEnter"))
        return (ended - begun) / 1e6

    def journal(self) -> str:
        """What the service and systemd said of it since the boot."""
        return self.exec("journalctl", "--boot", "--no-pager", "--unit", UNIT)

    def status(self) -> dict[str, Any]:
        """What `GET /status` answers."""
        return json.loads(self.exec("curl", "-sS", "--max-time", "10", "http://127.0.0.1:8666/status"))

    # --- how it is done

    def _run(self, *arguments: str | Path, timeout_s: float = 60, check: bool = True) -> str:
        result = self._process(arguments[0], arguments[1:], timeout_s)
        if check and result.returncode:
            shown = " ".join(map(str, arguments))
            raise CommandError(f"{shown}\nended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def _process(
        self, command: str | Path, arguments: Iterable[str | Path], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HERE / "testbed.sh", command, *arguments],
            env=self._environment(timeout_s), capture_output=True, text=True, timeout=timeout_s + 10,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _environment(self, timeout_s: float = 60) -> dict[str, str]:
        return {**os.environ, "TESTBED_DIR": str(self.folder), "TESTBED_EXEC_TIMEOUT": str(timeout_s)}


def obstacle() -> str | None:
    """Why this machine cannot boot the appliance, or None."""
    if os.geteuid() != 0:
        return "only root can boot the appliance"
    if not Path("/etc/debian_version").exists():
        return "the appliance is made with Debian's tools"
    for command, what in _NEEDED:
        if subprocess.run(command, capture_output=True).returncode:
            return f"this machine does not let root have {what}"
    return None


_NEEDED: Sequence[tuple[Sequence[str], str]] = (
    (("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"), "namespaces"),
    (("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c && "
      "mount -t overlay none -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c /mnt/a"), "overlay file systems"),
    (("unshare", "--mount", "mount", "-t", "cgroup2", "none", "/mnt"), "control groups (version 2)"),
)  # fmt: skip
