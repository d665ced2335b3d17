"""Installed: the service runs, phones boot, and everything belongs to whom it should."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.appliance.bed import ROOT, SECURITY_LOG, SERVER, SERVER_IPV6, UNIT, Bed, wait_until

MAC = "00085D237429"
USER_AGENT = "Aastra6731i MAC:00-08-5D-23-74-29 V:3.3.1.4305-SIP"
CONFIG = f"{MAC}.cfg"
MARK = f"# {CONFIG}, made by provd."

TFTP_CLIENTS = {
    "tftp-hpa": ["sh", "-c", f"cd /tmp && rm -f {CONFIG} && tftp -m binary {SERVER} -c get {CONFIG} && cat {CONFIG}"],
    "atftp": ["sh", "-c", f"cd /tmp && rm -f x && atftp --get -r {CONFIG} -l x {SERVER} 69 && cat x"],
    "busybox": ["busybox", "tftp", "-g", "-r", CONFIG, "-l", "/dev/stdout", SERVER],
    "curl": ["curl", "-sS", "--max-time", "20", f"tftp://{SERVER}/{CONFIG}"],
    "curl over IPv6": ["curl", "-gsS", "--max-time", "20", f"tftp://[{SERVER_IPV6}]/{CONFIG}"],
}


def test_the_service_is_ready_soon(appliance: Bed, figure: Callable[[str, str], None]) -> None:
    assert appliance.is_active()
    assert appliance.show("SubState") == "running"
    ready_s = appliance.ready_s()
    figure("ready after the installation", f"{ready_s:.2f} s")
    assert ready_s < 3


def test_a_phone_boots_over_http(appliance: Bed) -> None:
    for server in (SERVER, f"[{SERVER_IPV6}]"):
        url = f"http://{server}:8667/Aastra/{CONFIG}"
        assert appliance.client("curl", "-gsSf", "--max-time", "20", "-A", USER_AGENT, url).startswith(MARK)
    assert appliance.status()["counts"]["devices"] == 1


@pytest.mark.parametrize("client", TFTP_CLIENTS)
def test_a_phone_boots_over_tftp(appliance: Bed, client: str) -> None:
    assert appliance.client(*TFTP_CLIENTS[client]).startswith(MARK)


def test_phones_are_told_the_servers_address_in_their_network(appliance: Bed) -> None:
    assert f"http server: {SERVER}\n" in appliance.client(*TFTP_CLIENTS["curl"])


def test_the_status_line_and_the_journal_say_what_it_does(appliance: Bed) -> None:
    pattern = r"1 phones, \d+ transfers, \d+ connections"
    wait_until(lambda: re.fullmatch(pattern, appliance.show("StatusText")), 15, "the status line")
    journal = appliance.journal()
    assert "plugin installed: plugin=xivo-aastra-3.3.1-SP2 repository=/usr/share/xivo-provd/plugins" in journal
    for line in ("door=tftp address=[::]:69", "door=http address=[::]:8667", "door=admin address=127.0.0.1:8666,"):
        assert line in journal
    priorities = appliance.exec("journalctl", "--boot", "--unit", UNIT, "--priority", "warning", "--quiet")
    assert priorities == "", "nothing to warn of"


def test_administration_is_for_this_machine_alone(appliance: Bed) -> None:
    ask = ["curl", "-sSf", "--max-time", "5"]
    assert appliance.exec(*ask, "--unix-socket", "/run/xivo-provd/admin.sock", "http://x/status")
    assert appliance.client(*ask, f"http://{SERVER}:8666/status", check=False) == ""
    as_nobody = ["runuser", "-u", "nobody", "--", *ask, "--unix-socket", "/run/xivo-provd/admin.sock"]
    assert appliance.exec(*as_nobody, "http://x/status", check=False) == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/xivo-provd/provd.toml", "644 root:root"),
        ("/var/lib/xivo-provd", "750 xivo-provd:xivo-provd"),
        ("/var/cache/xivo-provd", "750 xivo-provd:xivo-provd"),
        ("/var/lib/xivo-provd/provd.db", "600 xivo-provd:xivo-provd"),
        ("/var/lib/xivo-provd/plugins", "750 xivo-provd:xivo-provd"),
        (SECURITY_LOG, "640 xivo-provd:adm"),
        ("/run/xivo-provd", "755 root:root"),
        ("/run/xivo-provd/admin.sock", "660 root:xivo-provd"),
        ("/usr/sbin/xivo-provd", "755 root:root"),
    ],
)
def test_owners_and_modes(appliance: Bed, path: str, expected: str) -> None:
    assert appliance.exec("stat", "--format", "%a %U:%G", path).strip() == expected


def test_nobody_else_reads_the_state(appliance: Bed) -> None:
    loose = appliance.exec("find", "/var/lib/xivo-provd", "/var/cache/xivo-provd", "-perm", "/o=rwx")
    assert loose == "", "configurations hold passwords"


def test_the_user_may_do_nothing_but_serve(appliance: Bed) -> None:
    name, _, _, _, _, home, shell = appliance.exec("getent", "passwd", "xivo-provd").strip().split(":")
    assert (name, home, shell) == ("xivo-provd", "/var/lib/xivo-provd", "/usr/sbin/nologin")
    pid = appliance.show("MainPID")
    status = dict(re.findall(r"(\w+):\s+(\S+)", appliance.exec("cat", f"/proc/{pid}/status")))
    assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")


def test_the_exposure_is_small(appliance: Bed, figure: Callable[[str, str], None]) -> None:
    said = appliance.exec("systemd-analyze", "security", "--no-pager", UNIT, timeout_s=30)
    score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])
    figure("exposure (systemd-analyze security)", f"{score}")
    assert score <= 1.5


def test_a_boot_storm_fits_into_the_sockets(appliance: Bed) -> None:
    udp = appliance.exec("ss", "--udp", "--listening", "--numeric", "--memory", "sport = :69")
    assert int(re.search(r"rb(\d+)", udp)[1]) >= 4 * 1024 * 1024
    tcp = appliance.exec("ss", "--tcp", "--listening", "--numeric", "--no-header", "sport = :8667")
    assert int(tcp.split()[2]) == 4096 or "somaxconn" in tcp
    limits = appliance.exec("cat", f"/proc/{appliance.show('MainPID')}/limits")
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard
    assert int(soft) >= 16384


def test_the_units_are_right(appliance: Bed) -> None:
    assert appliance.exec("systemd-analyze", "verify", "--man=no", UNIT, "xivo-provd.socket") == ""


def test_a_check_finds_everything_in_order(appliance: Bed) -> None:
    assert "settings, store and plugins are in order" in appliance.exec("xivo-provd", "--check")


def test_the_smoke_test_of_the_package_passes(appliance: Bed) -> None:
    appliance.push(ROOT / "debian" / "tests" / "smoke", to="/opt")
    appliance.exec("/opt/smoke")


def test_a_reload_uses_changed_settings(appliance: Bed) -> None:
    pid = appliance.show("MainPID")
    appliance.write("/etc/xivo-provd/conf.d/test.toml", '[general]\nlog_level = "debug"\nbind = "127.0.0.1"\n')
    appliance.exec("systemctl", "reload", UNIT)
    wait_until(lambda: "need a restart: changed=general.bind" in appliance.journal(), 10, "the journal's line")
    assert "settings read again: changed=general.log_level" in appliance.journal()
    appliance.write("/etc/xivo-provd/conf.d/test.toml", "[general]\nlog_level = 7\n")
    appliance.exec("systemctl", "reload", UNIT)
    wait_until(lambda: "test.toml: general.log_level: 7" in appliance.journal(), 10, "the journal's line")
    appliance.exec("rm", "/etc/xivo-provd/conf.d/test.toml")
    appliance.exec("systemctl", "reload", UNIT)
    assert (appliance.show("MainPID"), appliance.is_active()) == (pid, True)


def test_the_security_log_is_rotated_without_losing_a_line(appliance: Bed) -> None:
    appliance.client(*TFTP_CLIENTS["curl"])
    before = appliance.exec("cat", SECURITY_LOG)
    assert "Sensitive file requested from 10.55.0.11: " in before
    appliance.exec("logrotate", "--force", "/etc/logrotate.d/xivo-provd")
    wait_until(lambda: "security log opened again" in appliance.journal(), 10, "the reopening")
    appliance.client(*TFTP_CLIENTS["curl"])
    assert appliance.exec("cat", f"{SECURITY_LOG}.1") == before
    assert appliance.exec("cat", SECURITY_LOG).count("\n") == 1
    assert appliance.exec("stat", "--format", "%a %U:%G", SECURITY_LOG).strip() == "640 xivo-provd:adm"


def test_it_is_there_again_after_a_reboot(appliance: Bed, figure: Callable[[str, str], None]) -> None:
    before = appliance.client(*TFTP_CLIENTS["curl"])
    appliance.stop()
    appliance.boot()
    appliance.wait_active()
    assert appliance.client(*TFTP_CLIENTS["curl"]) == before
    figure("ready after a boot", f"{appliance.ready_s():.2f} s")
    assert appliance.ready_s() < 3
