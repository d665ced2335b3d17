"""The real fail2ban programs, on a copy of the installed configuration with provd's files in it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from provd.security.grammar import Owner, new_device_created, sensitive_file_requested

OURS = Path(__file__).parents[3] / "fail2ban"
INSTALLED = Path("/etc/fail2ban")
JAILS = ("xivo-provd", "xivo-provd-enumeration", "xivo-provd-new-devices")
MODES = ("normal", "sensitive", "foreign", "nobody", "new", "foreign-new")

Match = tuple[str, str]
"""Address and line."""


def program(name: str) -> str:
    """The path of a program of fail2ban; the test is skipped with the package to install if it is missing."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin")
    if path is None or not INSTALLED.is_dir():
        pytest.skip(f"{name} is missing: apt install fail2ban")
    if not OURS.is_dir():
        pytest.skip(f"{OURS} is missing: this is not a whole checkout")
    return path


def profile(nat: str) -> str:
    """The profile for NAT `on` or `off`."""
    return (OURS / f"profiles/nat-{nat}.conf").read_text()


def stamped(message: str, second: int = 0) -> str:
    """A line as it stands in the security log."""
    return f"[2026-11-22 20:{15 + second // 60:02d}:{second % 60:02d},123] {message}"


def sensitive(name: str, owner: Owner = Owner.NONE, *, address: str = "192.0.2.7", device: str | None = None) -> str:
    """A line for a request, as provd writes it."""
    return stamped(sensitive_file_requested(address, name, owner, device))


def new_device(device: str, *, address: str = "192.0.2.7") -> str:
    """A line for a new device, as provd writes it."""
    return stamped(new_device_created(address, device))


class Configuration:
    """A copy of /etc/fail2ban in which provd's files are as the package installs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fail2ban"
        self.log = folder / "security.log"
        self.log.touch()
        shutil.copytree(INSTALLED, self.folder)
        for own in (*self.folder.glob("jail.d/xivo*"), *self.folder.glob("jail.local")):
            own.unlink()
        for part in ("filter.d", "jail.d"):
            for file in (OURS / part).iterdir():
                shutil.copy(file, self.folder / part)
        # /var/log is nobody's business here. Nothing but this is changed.
        jail = self.folder / "jail.d/xivo.conf"
        text = jail.read_text()
        assert text.count("/var/log/xivo-provd-fail2ban.log") == 1
        jail.write_text(text.replace("/var/log/xivo-provd-fail2ban.log", str(self.log)))

    def use_profile(self, nat: str) -> None:
        """Put the profile `on` or `off` where the script puts it."""
        shutil.copy(OURS / f"profiles/nat-{nat}.conf", self.folder / "jail.d/xivo-nat.local")

    def local(self, text: str, name: str = "jail.d/xivo.local") -> None:
        """Write what an administrator would."""
        (self.folder / name).write_text(text)

    def client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run fail2ban-client."""
        command = [program("fail2ban-client"), "-c", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def dump(self) -> list[list[Any]]:
        """The commands that the server would be given."""
        said = self.client("-d")
        assert said.returncode == 0, said.stderr
        return [ast.literal_eval(line) for line in said.stdout.splitlines() if line.startswith("[")]

    def jails(self) -> dict[str, dict[str, Any]]:
        """The options of each jail that would run, by name."""
        commands = self.dump()
        jails: dict[str, dict[str, Any]] = {name: {"backend": backend} for verb, name, *(backend,) in (
            command for command in commands if command[0] == "add"
        )}  # fmt: skip
        for command in commands:
            if command[0] in ("set", "multi-set") and command[1] in jails:
                values = command[3] if len(command) == 4 else command[3:]
                jails[command[1]][command[2]] = values
        return jails

    def matches(self, lines: Iterable[str], mode: str = "normal") -> list[Match]:
        """What the filter finds in a log of these lines, by fail2ban-regex."""
        log = self.folder.parent / "lines.log"
        log.write_text("".join(f"{line}\n" for line in lines))
        command = [program("fail2ban-regex"), "-c", str(self.folder), "-o", "<ip> <matches>", str(log)]
        said = subprocess.run([*command, f"xivo-provd[mode={mode}]"], capture_output=True, text=True, timeout=60)
        assert "ERROR" not in said.stdout + said.stderr, said.stdout + said.stderr
        found = [line.partition(" ") for line in said.stdout.splitlines() if line]
        return [(address, line) for address, _, line in found]

    def banned(self, lines: Iterable[str]) -> set[Match]:
        """Which address would be banned by which jail, if all lines were written at the same time."""
        lines = list(lines)
        found: set[Match] = set()
        for name, options in self.jails().items():
            if name in JAILS:
                mode = self.mode(options)
                counts = Counter(address for address, _ in self.matches(lines, mode))
                found |= {(name, address) for address, count in counts.items() if count >= options["maxretry"]}
        return found

    def mode(self, options: dict[str, Any]) -> str:
        """The mode that a jail uses, by the expressions that it has."""
        expressions = options["addfailregex"]
        text = expressions if isinstance(expressions, str) else " ".join(expressions)
        owners = re.search(r"owner=(\S+)", text)
        finds = {"(?:known|none|other)": "sensitive", "(?:none|other)": "foreign", "none": "nobody"}
        mode = finds[owners[1]] if owners else "new"
        is_both = owners and "New device" in text
        return {"sensitive": "normal", "foreign": "foreign-new"}[mode] if is_both else mode


class PrivateServer:
    """A fail2ban server of its own, which bans nobody but notes whom it would, and a client that talks to it."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        folder = configuration.folder.parent
        self.bans = folder / "bans"
        self.bans.touch()
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._options = ["-c", str(configuration.folder), "-s", str(folder / "socket"), "-p", str(folder / "pid")]
        action = "[Definition]\nactionban = echo <name> <ip> >> {0}\nactionunban =\nactionstart =\nactionstop =\n"
        configuration.local(action.format(self.bans), "action.d/note.conf")
        configuration.local("[sshd]\nenabled = false\n[xivo-provd]\nbanaction = note\n", "jail.local")
        configuration.local(f"[Definition]\nlogtarget = {folder / 'server.log'}\ndbfile = None\n", "fail2ban.local")
        wrapper = self.programs / "fail2ban-client"
        wrapper.write_text(f'#!/bin/sh\nexec {program("fail2ban-client")} {" ".join(self._options)} "$@"\n')
        wrapper.chmod(0o755)

    def __enter__(self) -> PrivateServer:
        with open(self.configuration.folder.parent / "output", "wb") as output:
            command = [program("fail2ban-server"), *self._options, "-xf", "start"]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            self.wait(lambda: all(self.client("status", jail).returncode == 0 for jail in JAILS))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Ask the server."""
        command = [str(self.programs / "fail2ban-client"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def get(self, jail: str, option: str) -> int:
        """A number that a jail works with now."""
        return int(self.client("get", jail, option).stdout)

    def wait(self, condition: Any, timeout_s: float = 20.0) -> None:
        """Return as soon as `condition` is true; fail after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, (self.configuration.folder.parent / "output").read_text()
            time.sleep(0.1)
