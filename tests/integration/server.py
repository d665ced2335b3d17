"""The real program, run as its user would, and looked at from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

AASTRA = "xivo-aastra-3.3.1-SP2"
START_S = 30.0
STOP_S = 20.0


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, what: str = "the condition") -> None:
    """Return as soon as `condition` is true; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.01)


class RunningServer:
    """A server process with a state folder of its own, on free ports."""

    def __init__(
        self,
        state: Path,
        repository: Path,
        *,
        plugins: Sequence[str] = (AASTRA,),
        settings: str = "",
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        launcher: Sequence[str] = (sys.executable,),
    ) -> None:
        self.state = state
        self.log_file = state / "log"
        self.security_file = state / "security.log"
        self.expected_errors: list[str] = []
        state.mkdir(exist_ok=True)
        self._settings_file = state / "settings.toml"
        self._settings_file.write_text(f'[security]\nlog_file = "{self.security_file}"\n{settings}')
        self.command = [
            *launcher, "-m", "provd",
            "--config", str(self._settings_file),
            "--state-dir", str(state / "lib"),
            "--tftp-port=0", "--http-port=0", "--admin-port=0",
            "--plugin-repository", str(repository),
            *[part for plugin in plugins for part in ("--install-plugin", plugin)],
            *arguments,
        ]  # fmt: skip
        self._environment = environment
        self._pass_fds = pass_fds
        self.tftp_port = self.http_port = self.admin_port = 0
        self.start()

    # --- life

    def start(self) -> None:
        """Start the process and wait until every door listens."""
        offset = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(self._environment or {})},
                pass_fds=self._pass_fds,
            )
        self._wait_for_ports(offset)
        self.baseline = self.resources()

    def stop(self) -> int:
        """Ask the process to end, as systemd does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait(STOP_S)

    def _wait_for_ports(self, offset: int) -> None:
        pattern = re.compile(r"listening: door=(\w+) address=\S*:(\d+)$", re.M)

        def listening() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            with self.log_file.open("rb") as log:
                log.seek(offset)
                ports = dict(pattern.findall(log.read().decode()))
            if len(ports) < 3:
                return False
            self.tftp_port, self.http_port, self.admin_port = (int(ports[door]) for door in ("tftp", "http", "admin"))
            return True

        wait_until(listening, START_S, "the server")
        wait_until(lambda: self.status()["version"], START_S, "the status")
        self._keep_ports()

    def _keep_ports(self) -> None:
        """The next start uses the same ports, because phones are told them in their files."""
        for door, port in (("tftp", self.tftp_port), ("http", self.http_port), ("admin", self.admin_port)):
            self.command = [part.replace(f"--{door}-port=0", f"--{door}-port={port}") for part in self.command]

    # --- looking at it

    def log(self) -> str:
        """All that the process has said."""
        return self.log_file.read_text(errors="replace")

    def security_lines(self) -> list[str]:
        """The security log."""
        return self.security_file.read_text().splitlines() if self.security_file.exists() else []

    def status(self) -> dict:
        """What `GET /status` answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/status", timeout=10) as answer:
            return json.load(answer)

    def devices(self) -> list[dict]:
        """The devices, as they are on the disk."""
        return self._documents("devices")

    def configs(self) -> dict[str, dict]:
        """The configs, as they are on the disk, by id."""
        return {config["id"]: config for config in self._documents("configs")}

    def revisions(self) -> list[tuple]:
        """Every document's collection, id and revision: equal before and after means that nothing was written."""
        return self._query("SELECT collection, id, revision FROM documents ORDER BY 1, 2")

    def plugin_folder(self, plugin: str = AASTRA) -> Path:
        """Where a plugin is installed."""
        return self.state / "lib" / "plugins" / plugin

    def tftpboot(self, plugin: str = AASTRA) -> Path:
        """Where a plugin's files for phones are."""
        return self.plugin_folder(plugin) / "var" / "tftpboot"

    def _documents(self, collection: str) -> list[dict]:
        rows = self._query("SELECT document FROM documents WHERE collection = ? ORDER BY id", (collection,))
        return [json.loads(row[0]) for row in rows]

    def _query(self, sql: str, arguments: tuple = ()) -> list[tuple]:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(f"file:{self.state}/lib/provd.db?mode=ro", uri=True)) as database:
            return database.execute(sql, arguments).fetchall()

    # --- what it holds

    def resources(self) -> dict[str, int]:
        """Open descriptors, native threads and greenlets of the process."""
        proc = Path("/proc", str(self.process.pid))
        return {
            "descriptors": len(list((proc / "fd").iterdir())),
            "threads": len(list((proc / "task").iterdir())),
            "greenlets": self._greenlets(),
        }

    def memory_kb(self) -> int:
        """How much memory the process has now."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        return int(re.search(r"^VmRSS:\s*(\d+) kB", status, re.M)[1])

    def _greenlets(self) -> int:
        """How many greenlets there are, by the server's own account of its stacks."""
        before = self.log().count("end of stacks")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log().count("end of stacks") > before, 10, "the stacks")
        return self.log().rpartition("stacks:\n")[2].count("\ngreenlet ")

    def assert_free_resources(self) -> None:
        """Nothing is left of what clients did: no transfer, connection, socket, greenlet, thread, temporary file."""

        def idle() -> bool:
            doors = self.status()["doors"]
            return doors["tftp"]["transfers"] == 0 and doors["http"]["connections"] == 0

        wait_until(idle, 60, "the end of all transfers and connections")
        wait_until(lambda: self._is_down_to_baseline(), 15, f"a return to {self.baseline}, now {self.resources()},")
        leftovers = list(self.state.rglob(".provd-*"))
        assert not leftovers, leftovers

    def _is_down_to_baseline(self) -> bool:
        now = self.resources()
        # The store's thread, which has a greenlet of its own, comes with the first write.
        return (
            now["descriptors"] <= self.baseline["descriptors"]
            and now["threads"] <= self.baseline["threads"] + 1
            and now["greenlets"] <= self.baseline["greenlets"] + 1
        )

    def assert_no_errors(self) -> None:
        """The log holds no error but those that the test expects."""
        errors = [
            line
            for line in self.log().splitlines()
            if (" ERROR " in line or "Traceback" in line) and not any(text in line for text in self.expected_errors)
        ]
        assert not errors, "\n".join(errors)
