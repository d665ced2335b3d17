"""The script that says why the jails do not run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .tools import JAILS, OURS, Configuration, PrivateServer

SCRIPT = OURS / "xivo-provd-fail2ban-check"


def check(configuration: Configuration, *options: str, path: str | None = None) -> tuple[int, str]:
    """Exit status and words of the script, run as by root."""
    programs = configuration.folder.parent / "root"
    programs.mkdir(exist_ok=True)
    (programs / "id").write_text("#!/bin/sh\necho 0\n")
    (programs / "id").chmod(0o755)
    state = configuration.folder.parent / "nat"
    said = subprocess.run(
        [SCRIPT, "-c", configuration.folder, "-s", state, *options],
        env={"PATH": f"{programs}:{path or os.environ['PATH']}"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return said.returncode, said.stdout


def test_a_server_that_does_not_run_is_named(configuration: Configuration) -> None:
    configuration.local("[sshd]\nenabled = false\n")
    configuration.local(f"[Definition]\nsocket = {configuration.folder.parent}/no-socket\n", "fail2ban.local")
    status, said = check(configuration)
    assert status == 1
    assert "ok       the configuration of fail2ban is right" in said
    assert "WRONG    fail2ban does not run\n         systemctl restart fail2ban" in said


def test_a_missing_log_file_of_another_jail_is_named_with_its_cure(configuration: Configuration) -> None:
    configuration.local("[sshd]\nenabled = true\nbackend = auto\nlogpath = /nowhere\n")
    status, said = check(configuration)
    assert status == 1
    assert "no jail of anything starts" in said
    assert "Have not found any log file for sshd jail" in said
    assert "[sshd]\n             backend = systemd" in said


def test_our_own_missing_log_file_is_named(configuration: Configuration) -> None:
    configuration.local("[sshd]\nenabled = false\n")
    configuration.log.unlink()
    status, said = check(configuration)
    assert status == 1
    assert "systemctl restart xivo-provd" in said


@pytest.mark.parametrize("file", ["filter.d/xivo-provd.conf", "jail.d/xivo.conf"])
def test_missing_files_of_the_package_are_named(configuration: Configuration, file: str) -> None:
    (configuration.folder / file).unlink()
    status, said = check(configuration)
    assert status == 1
    assert f"WRONG    {configuration.folder}/{file} is missing" in said


def test_without_fail2ban_it_says_what_to_install(configuration: Configuration, tmp_path: Path) -> None:
    programs = tmp_path / "few"
    programs.mkdir()
    for name in ("sh", "id", "dd"):
        (programs / name).symlink_to(shutil.which(name) or "")
    status, said = check(configuration, path=str(programs))
    assert (status, said) == (1, "WRONG    fail2ban is not installed\n         apt install fail2ban\n")


def test_a_running_server_is_right_until_something_is_not(configuration: Configuration) -> None:
    with PrivateServer(configuration) as server:
        path = f"{server.programs}:{os.environ['PATH']}"
        status, said = check(configuration, path=path)
        assert "jail xivo-provd: 10 in 60 s, banned for 600 s" in said
        assert (status, said.count("WRONG")) == (0, 0), said
        assert check(configuration, "-q", path=path) == (0, "")

        (configuration.folder.parent / "nat").write_text("1")
        status, said = check(configuration, "-q", path=path)
        assert status == 1
        assert said.startswith("WRONG    NAT is on in provd, and off in the profile of fail2ban")
        configuration.use_profile("on")
        assert check(configuration, "-q", path=path) == (0, "")

        server.client("stop", JAILS[1])
        status, said = check(configuration, "-q", path=path)
        assert status == 1
        assert f"WRONG    the jail {JAILS[1]} does not run" in said
