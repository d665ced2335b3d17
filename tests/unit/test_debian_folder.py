"""What stands in debian/ and systemd/ and somewhere else too is the same in both places."""

from __future__ import annotations

import configparser
import hashlib
import re
from pathlib import Path

import pytest

from provd import __version__
from provd.settings import OPTIONS, default_file_text

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "debian"

pytestmark = pytest.mark.skipif(not DEBIAN.exists(), reason="these are not the sources, but an installed program")

DEFAULTS = {option.name: option.default for option in OPTIONS}


def test_the_package_has_the_programs_version() -> None:
    assert re.match(r"xivo-provd \((\S+)\)", (DEBIAN / "changelog").read_text())[1] == __version__


def test_tftpy_is_what_is_said_of_it() -> None:
    (archive,) = (DEBIAN / "vendor").glob("*.tar.gz")
    assert (DEBIAN / "vendor" / "SHA256SUMS").read_text().split() == [
        hashlib.sha256(archive.read_bytes()).hexdigest(),
        archive.name,
    ]
    release = archive.name.removesuffix(".tar.gz")
    assert f"TFTPY = {release}\n" in (DEBIAN / "rules").read_text()
    assert f"Files: debian/vendor/{archive.name}\n" in (DEBIAN / "copyright").read_text()
    assert f"release {release.removeprefix('tftpy-')}," in (DEBIAN / "copyright").read_text()


def test_the_package_needs_what_the_tests_are_run_with() -> None:
    used = re.search(r"DEBIAN_PACKAGES := ([^:]*?)\n\n", (ROOT / "Makefile").read_text())[1]
    program = set(re.findall(r"python3-\w+", used)) - {"python3-pytest", "python3-hypothesis"}
    depends = (DEBIAN / "control").read_text().partition("\nDepends:\n")[2].partition("${")[0]
    for_fail2ban = {"python3-systemd"}  # fail2ban/jail.d/xivo-sshd.conf
    assert set(re.findall(r"python3-\w+", depends)) == program | for_fail2ban


def test_the_shipped_settings_are_the_defaults() -> None:
    assert (ROOT / "etc" / "provd.toml").read_text() == default_file_text()


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(ROOT / "systemd" / name)
    return parser


def test_systemd_listens_where_the_settings_say() -> None:
    lines = (ROOT / "systemd" / "xivo-provd.socket").read_text().splitlines()
    assert [line for line in lines if line.startswith("Listen")] == [
        f"ListenDatagram={DEFAULTS['tftp.port']}",
        f"ListenStream={DEFAULTS['http.port']}",
        f"ListenStream={DEFAULTS['admin.address']}:{DEFAULTS['admin.port']}",
        "ListenStream=/run/xivo-provd/admin.sock",
    ]


def test_the_hook_of_the_dhcp_server_is_found_where_it_is_said_to_be() -> None:
    socket = unit("xivo-provd-dhcp.socket")["Socket"]
    hook = (ROOT / "dhcp" / "xivo-provd-dhcp-hook").read_text()
    assert f'SOCKET = "{socket["ListenDatagram"]}"\n' in hook
    (option,) = (option for option in OPTIONS if option.name == "dhcp.socket")
    assert socket["ListenDatagram"] in option.doc
    place = "usr/libexec/xivo-provd/xivo-provd-dhcp-hook"
    assert "dhcp/xivo-provd-dhcp-hook usr/libexec/xivo-provd\n" in (DEBIAN / "xivo-provd.install").read_text()
    links = [line.split() for line in (DEBIAN / "xivo-provd.links").read_text().splitlines()]
    assert [link for target, link in links if target == place] == [
        "usr/sbin/xivo-provd-dhcp-hook",
        "usr/bin/dxtorc",
        "usr/share/kea/scripts/xivo-provd-dhcp-hook",
    ]
    assert f"\n/{place} PUx,\n" in (ROOT / "dhcp" / "apparmor.d" / "dhcpd.d" / "xivo-provd").read_text()


def test_the_server_is_handed_the_socket_of_the_hook() -> None:
    socket = unit("xivo-provd-dhcp.socket")["Socket"]
    assert (socket["Service"], socket["FileDescriptorName"]) == ("xivo-provd.service", "dhcp")
    service = unit("xivo-provd.service")["Service"]
    assert service["Sockets"] == "xivo-provd-dhcp.socket"
    assert socket["PassCredentials"] == "yes"
    assert "PrivateUsers" not in service, "it would not see who wrote"


def test_the_server_has_the_time_to_stop_that_it_gives_its_transfers() -> None:
    service = unit("xivo-provd.service")["Service"]
    assert int(service["TimeoutStopSec"]) > DEFAULTS["general.drain_timeout"]


def test_the_security_log_is_made_and_rotated_where_it_is_written() -> None:
    path = DEFAULTS["security.log_file"]
    assert f"f {path} 0640 xivo-provd adm\n" in (DEBIAN / "xivo-provd.tmpfiles").read_text()
    assert f"\n{path} {{\n" in (DEBIAN / "xivo-provd.logrotate").read_text()
    assert f"rm -f {path} {path}.*\n" in (DEBIAN / "xivo-provd.postrm").read_text()
    assert unit("xivo-provd.service")["Service"]["ReadWritePaths"] == str(Path(path).parent)


def test_the_snippet_for_kea_names_the_link_in_its_folder_of_scripts() -> None:
    """Newer versions of Kea run nothing else."""
    links = [line.split()[1] for line in (DEBIAN / "xivo-provd.links").read_text().splitlines()]
    (link,) = [link for link in links if link.startswith("usr/share/kea/scripts/")]
    assert f" --hook /{link}." in (DEBIAN.parent / "dhcp" / "xivo-provd.kea.json").read_text()
