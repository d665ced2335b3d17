"""The script that puts the profile for NAT in place: what it looks at, what it writes, and that it lets nobody else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from .tools import JAILS, OURS, Configuration, PrivateServer, profile, program, sensitive

SCRIPT = OURS / "xivo-provd-fail2ban-profile"

FAKE_CLIENT = """#!/bin/sh
case $1 in
    ping) test -e "$FAKE/runs" || exit 255 ;;
    status) grep -qx "$2" "$FAKE/runs" ;;
    reload) echo "$2" >> "$FAKE/reloaded" ;;
esac
"""


class Machine:
    """Folders as on a server, and a fail2ban-client that notes what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "lib" / "nat"
        self.config = folder / "etc"
        self.target = self.config / "jail.d" / "xivo-nat.local"
        self.programs = folder / "bin"
        for each in (self.state.parent, self.target.parent, self.programs):
            each.mkdir(parents=True)
        self.program("fail2ban-client", FAKE_CLIENT)
        self.program("systemctl", "#!/bin/sh\nexit 3\n")

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def runs(self, *jails: str) -> None:
        """Have fail2ban run, with these jails."""
        (self.folder / "runs").write_text("".join(f"{jail}\n" for jail in jails))

    def reloaded(self) -> list[str]:
        file = self.folder / "reloaded"
        return file.read_text().split() if file.exists() else []

    def command(self) -> tuple[list[str], dict[str, str]]:
        arguments = ["-s", str(self.state), "-p", str(OURS / "profiles"), "-c", str(self.config)]
        environment = {"PATH": f"{self.programs}:/usr/bin:/bin", "FAKE": str(self.folder)}
        return [str(SCRIPT), *arguments], environment

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        command, known = self.command()
        said = subprocess.run(command, env={**known, **environment}, capture_output=True, text=True, timeout=30)
        assert said.returncode == 0, said.stdout + said.stderr
        assert [path.name for path in self.target.parent.iterdir()] in ([], [self.target.name])
        return said

    def placed(self) -> str:
        """Which profile is in place."""
        self.run()
        mode = self.target.lstat().st_mode
        assert stat.S_ISREG(mode)
        assert stat.S_IMODE(mode) == 0o644
        return {profile(nat): nat for nat in ("on", "off")}[self.target.read_text()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    program("fail2ban-client")
    return Machine(tmp_path)


# --- one byte


@pytest.mark.parametrize(
    ("content", "nat"),
    [
        (b"1", "on"), (b"0", "off"), (b"1\n", "on"), (b"10", "on"), (b"", "off"), (b"2", "off"), (b"\n1", "off"),
        (b" 1", "off"), (b"\x001", "off"), (b"on", "off"), (b"$(touch x)", "off"), (b"-n", "off"), (b"\xff1", "off"),
    ],
)  # fmt: skip
def test_only_the_first_byte_counts(machine: Machine, content: bytes, nat: str) -> None:
    machine.state.write_bytes(content)
    assert machine.placed() == nat


def test_without_a_file_nat_is_off(machine: Machine) -> None:
    assert machine.placed() == "off"
    shutil.rmtree(machine.state.parent)
    assert machine.placed() == "off"


def test_a_huge_file_is_not_read(machine: Machine) -> None:
    with machine.state.open("wb") as file:
        file.write(b"1")
        file.truncate(1 << 40)
    started = time.monotonic()
    assert machine.placed() == "on"
    assert time.monotonic() - started < 30


def test_a_link_is_not_followed(machine: Machine) -> None:
    (machine.folder / "secret").write_text("1")
    machine.state.symlink_to(machine.folder / "secret")
    assert machine.placed() == "off"
    machine.state.unlink()
    machine.state.symlink_to("nat")
    assert machine.placed() == "off"


def test_a_pipe_is_not_waited_for(machine: Machine) -> None:
    os.mkfifo(machine.state)
    assert machine.placed() == "off"
    writer = os.open(machine.state, os.O_RDWR)  # somebody who opened it and says nothing
    try:
        assert machine.placed() == "off"
    finally:
        os.close(writer)


def test_a_folder_in_its_place_is_off(machine: Machine) -> None:
    machine.state.mkdir()
    assert machine.placed() == "off"


# --- the profile's place


def test_the_switch_goes_to_and_fro(machine: Machine) -> None:
    for content, nat in (("1", "on"), ("0", "off"), ("1", "on")):
        machine.state.write_text(content)
        assert machine.placed() == nat


def test_a_profile_that_is_in_place_is_not_written(machine: Machine) -> None:
    machine.run()
    before = machine.target.stat()
    assert machine.run().stdout.count(str(machine.target)) == 0
    assert (machine.target.stat().st_ino, machine.target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", ["", "[sshd]\nenabled = false\n", "general.nat is off\n"])
def test_anything_else_in_its_place_is_replaced(machine: Machine, content: str) -> None:
    machine.target.write_text(content)
    assert machine.placed() == "off"


def test_a_link_in_its_place_is_replaced_and_its_target_left_alone(machine: Machine) -> None:
    other = machine.folder / "other"
    for content in ("precious", profile("off")):
        other.write_text(content)
        machine.target.unlink(missing_ok=True)
        machine.target.symlink_to(other)
        assert machine.placed() == "off"
        assert other.read_text() == content


def test_without_fail2ban_nothing_is_done(machine: Machine) -> None:
    shutil.rmtree(machine.config)
    said = subprocess.run(machine.command()[0], env=machine.command()[1], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0
    assert "not installed" in said.stdout
    assert not machine.config.exists()


# --- the running fail2ban


def test_the_jails_that_run_are_read_again_each_by_itself(machine: Machine) -> None:
    machine.runs("sshd", "xivo-provd", "xivo-provd-new-devices")
    machine.run()
    assert machine.reloaded() == ["xivo-provd", "xivo-provd-new-devices"]


def test_a_fail2ban_that_does_not_run_is_left_alone(machine: Machine) -> None:
    started = time.monotonic()
    assert "when it starts" in machine.run().stdout
    assert machine.reloaded() == []
    assert time.monotonic() - started < 20


def test_a_fail2ban_that_is_just_starting_is_waited_for(machine: Machine) -> None:
    machine.program("systemctl", f'#!/bin/sh\nprintf "%s\\n" {" ".join(JAILS)} > "$FAKE/runs"\n')
    machine.run()
    assert machine.reloaded() == list(JAILS)


def test_a_change_while_it_works_is_not_lost(machine: Machine) -> None:
    machine.runs(*JAILS)
    machine.state.write_text("1")
    turn_back = 'printf 0 > "$FAKE/lib/nat"'
    machine.program("fail2ban-client", FAKE_CLIENT.replace("reload) ", f"reload) {turn_back}; "))
    machine.run()
    assert machine.target.read_text() == profile("off")
    assert machine.reloaded() == [*JAILS, *JAILS]


def test_a_switch_that_is_turned_for_ever_does_not_keep_it_for_ever(machine: Machine) -> None:
    machine.runs(*JAILS)
    turn = 'grep -q 1 "$FAKE/lib/nat" && printf 0 > "$FAKE/lib/nat" || printf 1 > "$FAKE/lib/nat"'
    machine.program("fail2ban-client", FAKE_CLIENT.replace("reload) ", f"reload) {turn}; "))
    machine.run()
    assert len(machine.reloaded()) == 10 * len(JAILS)


def test_one_after_the_other(machine: Machine) -> None:
    machine.runs(*JAILS)
    machine.program("fail2ban-client", FAKE_CLIENT.replace("reload) ", "reload) sleep 0.2; "))
    command, environment = machine.command()
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(30) for each in both] == [0, 0]
    assert machine.reloaded() == [*JAILS, *JAILS]


def test_the_real_fail2ban_takes_it_at_once(configuration: Configuration) -> None:
    machine = Machine(configuration.folder.parent / "machine")
    machine.config = configuration.folder
    command, environment = machine.command()
    with PrivateServer(configuration) as server:
        environment["PATH"] = f"{server.programs}:{environment['PATH']}"

        def turn(content: str) -> None:
            machine.state.write_text(content)
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
            assert configuration.client("-t").returncode == 0

        def write(number: int) -> None:
            now = time.strftime("[%Y-%m-%d %H:%M:%S,000] ")
            lines = [sensitive(f"00085D{each:06X}.cfg", address="192.0.2.7") for each in range(number)]
            with configuration.log.open("a") as log:
                log.write("".join(f"{now}{line.partition('] ')[2]}\n" for line in lines))

        turn("1")
        assert server.get("xivo-provd", "maxretry") == 20
        assert server.get("xivo-provd-new-devices", "maxretry") == 600
        write(15)
        time.sleep(2)
        assert server.bans.read_text() == "", "behind NAT more is allowed"
        turn("0")
        assert server.get("xivo-provd", "maxretry") == 10
        assert server.get("xivo-provd-enumeration", "bantime") == 3600
        write(10)
        server.wait(lambda: len(server.bans.read_text().split()) >= 4)
        assert {*server.bans.read_text().splitlines()} == {"xivo-provd 192.0.2.7", "xivo-provd-enumeration 192.0.2.7"}
        turn("1")
        assert "192.0.2.7" in server.client("get", "xivo-provd", "banip").stdout, "who is banned stays banned"
