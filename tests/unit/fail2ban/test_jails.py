"""The jails and the profiles for NAT: whom they ban, and from what, told by the real fail2ban-client."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from provd.security.grammar import Owner

from .tools import JAILS, OURS, Configuration, Match, new_device, profile, sensitive

NAT = "192.0.2.254"
ATTACKER = "198.51.100.66"


def names(number: int, prefix: str = "00085D") -> Iterator[str]:
    """File names of so many phones."""
    return (f"{prefix}{each:06X}.cfg" for each in range(number))


def own_files(device: int, address: str, files: int = 5) -> list[str]:
    """What a booting phone asks for: its own files, whether they are there or not."""
    name = f"00085D{device:06X}"
    own = [f"{name}{end}" for end in (".cfg", ".tuz", "-user.cfg", "-phone.cfg", "-web.cfg")]
    return [sensitive(each, Owner.KNOWN, address=address, device=f"{device:032x}") for each in own[:files]]


# --- the configuration as a whole


@pytest.mark.parametrize("nat", ["off", "on"])
def test_fail2ban_takes_the_configuration(configuration: Configuration, nat: str) -> None:
    configuration.local("[sshd]\nenabled = false\n")
    configuration.use_profile(nat)
    said = configuration.client("-t")
    assert said.returncode == 0, said.stderr
    assert "ERROR" not in said.stdout + said.stderr


def test_it_does_so_where_nobody_writes_the_log_of_sshd(configuration: Configuration) -> None:
    """As on Debian 12 as it is installed, where one missing log file keeps all jails from starting."""
    (configuration.folder / "jail.d/defaults-debian.conf").write_text("[sshd]\nenabled = true\nlogpath = /nowhere\n")
    assert configuration.client("-t").returncode == 0
    assert configuration.jails()["sshd"]["backend"] == "systemd"
    (configuration.folder / "jail.d/xivo-sshd.conf").unlink()
    said = configuration.client("-t")
    assert said.returncode != 0
    assert "Have not found any log file for sshd jail" in said.stderr + said.stdout


@pytest.mark.parametrize("nat", ["off", "on"])
def test_a_ban_is_from_provds_ports_only_by_udp_and_tcp(configuration: Configuration, nat: str) -> None:
    configuration.use_profile(nat)
    for name in JAILS:
        options = configuration.jails()[name]
        assert options["addaction"] == "nftables"
        action = dict(options["action"][1])
        assert (action["port"], action["protocol"], action["type"]) == ("69,8667", "tcp,udp", "multiport")
        assert action["blocktype"] == "drop", "senders of UDP may be forged: nobody is answered"
        assert action["name"] == name


def test_the_jails_read_the_file_whatever_the_default_backend_is(configuration: Configuration) -> None:
    configuration.local("[DEFAULT]\nbackend = systemd\n", "jail.local")
    for name in JAILS:
        options = configuration.jails()[name]
        assert options["backend"] == "auto"
        assert options["addlogpath"] == [str(configuration.log), "head"]
        assert options["usedns"] == "no"


def limits(configuration: Configuration) -> dict[str, tuple[str, int, int, int]]:
    """Mode, maxretry, findtime and bantime of each jail."""
    jails = {name: options for name, options in configuration.jails().items() if name in JAILS}
    return {
        name: (configuration.mode(each), each["maxretry"], int(each["findtime"]), int(each["bantime"]))
        for name, each in jails.items()
    }


def test_the_jail_xivo_provd_is_as_administrators_know_it(configuration: Configuration) -> None:
    for _ in range(2):
        assert limits(configuration) == {
            "xivo-provd": ("normal", 10, 60, 600),
            "xivo-provd-enumeration": ("nobody", 8, 600, 3600),
            "xivo-provd-new-devices": ("new", 5, 600, 3600),
        }
        configuration.use_profile("off")  # says nothing else than no profile


def test_behind_nat_the_limits_are_wider_and_own_files_do_not_count(configuration: Configuration) -> None:
    configuration.use_profile("on")
    assert limits(configuration) == {
        "xivo-provd": ("foreign", 20, 60, 600),
        "xivo-provd-enumeration": ("nobody", 20, 600, 600),
        "xivo-provd-new-devices": ("new", 600, 600, 600),
    }


@pytest.mark.parametrize("nat", ["off", "on"])
def test_what_an_administrator_writes_wins_over_jails_and_profiles(configuration: Configuration, nat: str) -> None:
    configuration.use_profile(nat)
    configuration.local(
        "[xivo-provd]\nmaxretry = 77\nmode = sensitive\nport = 6969,8667\nignoreip = 127.0.0.0/8 192.0.2.10\n"
        "[xivo-provd-enumeration]\nignoreip = %(xivo-provd/ignoreip)s\n"
        "[xivo-provd-new-devices]\nenabled = false\n"
    )
    jails = configuration.jails()
    assert limits(configuration)["xivo-provd"][:2] == ("sensitive", 77)
    assert "xivo-provd-new-devices" not in jails
    for name in JAILS[:2]:
        assert dict(jails[name]["action"][1])["port"] == "6969,8667"
        assert jails[name]["addignoreip"] == ["127.0.0.0/8", "192.0.2.10"]


# --- who is banned


def who(configuration: Configuration, lines: list[str], nat: str) -> set[Match]:
    configuration.use_profile(nat)
    return configuration.banned(lines)


def test_a_sites_reboot_bans_nobody(configuration: Configuration) -> None:
    lines = [line for device in range(200) for line in own_files(device, f"10.0.0.{device}")]
    assert who(configuration, lines, "off") == set()


def test_a_site_that_is_new_bans_nobody(configuration: Configuration) -> None:
    lines = []
    for device in range(200):
        lines += [new_device(f"{device:032x}", address=f"10.0.0.{device}"), *own_files(device, f"10.0.0.{device}")]
    assert who(configuration, lines, "off") == set()


def test_forty_phones_behind_one_address_need_the_profile_for_nat(configuration: Configuration) -> None:
    lines = [line for device in range(40) for line in own_files(device, NAT)]
    assert who(configuration, lines, "on") == set()
    assert who(configuration, lines, "off") == {("xivo-provd", NAT)}
    lines += [new_device(f"{device:032x}", address=NAT) for device in range(40)]
    assert who(configuration, lines, "on") == set(), "also when they boot for the first time"


@pytest.mark.parametrize("nat", ["off", "on"])
def test_who_guesses_names_is_banned(configuration: Configuration, nat: str) -> None:
    phones = [line for device in range(40) for line in own_files(device, NAT)] if nat == "on" else []
    address = NAT if nat == "on" else ATTACKER
    lines = [*phones, *[sensitive(name, Owner.NONE, address=address) for name in names(20)]]
    assert who(configuration, lines, nat) == {("xivo-provd", address), ("xivo-provd-enumeration", address)}


def test_who_guesses_names_is_banned_sooner_than_who_asks_for_many_files(configuration: Configuration) -> None:
    lines = [sensitive(name, Owner.NONE, address=ATTACKER) for name in names(8)]
    assert who(configuration, lines, "off") == {("xivo-provd-enumeration", ATTACKER)}


def test_who_asks_for_the_files_of_others_is_banned(configuration: Configuration) -> None:
    lines = [sensitive(name, Owner.OTHER, address=ATTACKER, device="d") for name in names(20)]
    for nat in ("off", "on"):
        assert who(configuration, lines, nat) == {("xivo-provd", ATTACKER)}


def test_who_says_to_be_one_phone_after_the_other_is_banned(configuration: Configuration) -> None:
    """By TFTP the name of the file is all that there is, so each file is the asker's own."""
    lines = [line for device in range(10) for line in own_files(device, ATTACKER, files=1)]
    assert who(configuration, lines, "off") == {("xivo-provd", ATTACKER)}


def test_who_makes_phones_up_is_banned(configuration: Configuration) -> None:
    lines = [new_device(f"{device:032x}", address=ATTACKER) for device in range(5)]
    assert who(configuration, lines, "off") == {("xivo-provd-new-devices", ATTACKER)}
    lines = [new_device(f"{device:032x}", address=ATTACKER) for device in range(600)]
    assert who(configuration, lines, "on") == {("xivo-provd-new-devices", ATTACKER)}


def test_ipv6_is_treated_alike(configuration: Configuration) -> None:
    lines = [sensitive(name, Owner.NONE, address="2001:db8::66") for name in names(10)]
    lines += [sensitive(name, Owner.NONE, address="fe80::66%eth0") for name in names(10)]
    assert {address for _, address in who(configuration, lines, "off")} == {"2001:db8::66", "fe80::66"}


# --- what is written in the files


def test_the_profiles_say_which_they_are(configuration: Configuration) -> None:
    for nat in ("on", "off"):
        assert f"general.nat is {nat}" in profile(nat)


@pytest.mark.parametrize("script", ["xivo-provd-fail2ban-profile", "xivo-provd-fail2ban-check"])
def test_the_scripts_are_shell_scripts_without_faults(configuration: Configuration, script: str) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is missing: apt install shellcheck")
    subprocess.run([shellcheck, OURS / script], check=True)
