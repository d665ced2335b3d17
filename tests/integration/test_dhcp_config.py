"""An administrator makes a snippet with `xivo-provd dhcp-config`; real servers take it, and phones are told by it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from provd.dhcp import dnsmasq, isc, kea
from provd.dhcp.collect import collect
from provd.dhcp.kea import KeaPlace
from provd.dhcp.rules import Rule, make_rules
from provd.dhcp.snippet import HOOK, Snippet
from tests.integration.dhcp_servers import PROGRAMS, SUBNET_66, Client, answers, can_have_networks, check
from tests.unit.dhcp import acme

ROOT = Path(__file__).parents[2]
SERVERS = sorted(PROGRAMS)
FAMILIES = ("aastra", "cisco-sccp", "cisco-spa", "digium", "polycom", "snom", "yealink")
KEA_LIBRARY = next(iter(map(str, Path("/usr/lib").glob("*/kea/hooks/libdhcp_run_script.so"))), "/nowhere")

URL = b"http://192.0.2.10:8667"
RENDERERS: Mapping[str, Callable[[Snippet], str]] = {
    "isc": isc.render,
    "dnsmasq": dnsmasq.render,
    "kea": lambda snippet: kea.render(snippet, KeaPlace(KEA_LIBRARY, fragment=True)),
}

live = pytest.mark.skipif(not can_have_networks(), reason="no namespaces for networks can be made here")


@pytest.fixture
def settings(tmp_path: Path, repository: Path) -> Path:
    """A settings file with the repository of the official plugins and no installed plugin."""
    file = tmp_path / "provd.toml"
    (tmp_path / "state" / "plugins").mkdir(parents=True)
    file.write_text(f'[general]\nplugin_server = "{repository}"\nstate_dir = "{tmp_path}/state"\n')
    return file


def dhcp_config(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "provd", "dhcp-config", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return result


# --- the servers take it


@pytest.mark.parametrize("address", ["192.0.2.10", "prov.example", "2001:db8::10"])
@pytest.mark.parametrize("server", SERVERS)
def test_the_server_takes_the_snippet_of_all_families(
    server: str, address: str, settings: Path, tmp_path: Path
) -> None:
    result = dhcp_config("--config", settings, "--server", server, "--provd-address", address)
    assert result.stderr == ""
    assert all(f"{family}-" in result.stdout for family in FAMILIES)
    snippet = tmp_path / "snippet"
    snippet.write_text(result.stdout)
    said = check(server, snippet, tmp_path)
    assert said.returncode == 0, said.stderr + said.stdout
    assert "warning" not in (said.stderr + said.stdout).lower()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("server", SERVERS)
def test_the_server_takes_the_snippet_of_one_family(server: str, family: str, settings: Path, tmp_path: Path) -> None:
    arguments = ("--config", settings, "--server", server, "--provd-address", "192.0.2.10", "--family", family)
    (tmp_path / "snippet").write_text(dhcp_config(*arguments).stdout)
    said = check(server, tmp_path / "snippet", tmp_path)
    assert said.returncode == 0, said.stderr + said.stdout


def test_kea_includes_a_fragment(settings: Path, tmp_path: Path) -> None:
    arguments = ("--config", settings, "--server", "kea", "--provd-address", "192.0.2.10", "--kea-fragment")
    (tmp_path / "fragment").write_text(dhcp_config(*arguments).stdout)
    whole = tmp_path / "whole"
    whole.write_text(f'{{ "Dhcp4": {{ "valid-lifetime": 600,\n<?include "{tmp_path}/fragment"?>\n}} }}\n')
    said = check("kea", whole, tmp_path)
    assert said.returncode == 0, said.stderr + said.stdout


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_refuses_what_is_wrong(server: str, tmp_path: Path) -> None:
    (tmp_path / "snippet").write_text("{ wrong")
    assert check(server, tmp_path / "snippet", tmp_path).returncode != 0


def test_the_examples_are_what_the_command_prints(settings: Path) -> None:
    arguments = ["--config", settings, "--provd-address", "192.0.2.10", "--server"]
    library = ["--kea-library", "/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so"]
    for server, name in (("isc", "isc.conf"), ("kea", "kea.json"), ("dnsmasq", "dnsmasq.conf")):
        printed = dhcp_config(*arguments, server, *(library if server == "kea" else [])).stdout
        assert (ROOT / "dhcp" / f"xivo-provd.{name}").read_text() == printed, "run: make dhcp"


# --- what phones are told


def told(server: str, rules: Sequence[Rule], folder: Path, clients: Sequence[Client]) -> list[dict[int, bytes]]:
    """The options of a snippet's own that clients get, in one form: without a NUL or an end behind them."""
    hook = folder / "hook"
    events = folder / "events"
    hook.write_text(f'#!/bin/sh\nprintf "%s|" "$@" "$DNSMASQ_VENDOR_CLASS" >> {events}\necho >> {events}\n')
    hook.chmod(0o755)
    snippet = folder / "snippet"
    snippet.write_text(RENDERERS[server](Snippet(rules, acme.PLACE, str(hook))))
    found = []
    for options in answers(server, snippet, folder, clients):
        own = {code: value for code, value in options.items() if code in (43, 66, 67) or code >= 150}
        found.append({code: value.rstrip(b"\xff\0") if code in (66, 67) else value for code, value in own.items()})
    return found


def sub_options(value: bytes) -> dict[int, bytes]:
    """The sub-options of option 43, in whatever order, with or without an end."""
    found = {}
    while value and value[0] != 255:
        found[value[0]], value = value[2 : 2 + value[1]], value[2 + value[1] :]
    return found


AASTRA = {2: URL + b"/Aastra", 3: b"\0"}
SCCP = {66: b"192.0.2.10", 150: bytes([192, 0, 2, 10])}
POLYCOM = {66: URL + b"/000000000000.cfg", 160: URL + b"/000000000000.cfg"}
YEALINK = {43: URL, 66: URL, 160: URL}
NOBODY = {66: SUBNET_66}
"""What a client is told that asks for option 66 and is no phone of the table."""


def expected_of(family: str, vendor_class: str) -> dict[int, bytes]:
    """What the phones of a family have to be told that send this vendor class."""
    if family == "cisco-spa":
        by_tftp = vendor_class.startswith(("LINKSYS", "CISCO ATA"))
        return {66: b"192.0.2.10" if by_tftp else URL + b"/spa$PSN.cfg"}
    return {
        "cisco-sccp": SCCP,
        "digium": {66: URL + b"/Digium"},
        "polycom": POLYCOM,
        "snom": {66: URL},
        "yealink": YEALINK,
    }.get(family, NOBODY)


def observed() -> list[tuple[str, str]]:
    """Family and vendor class of every phone, and other machine, that was seen on a network."""
    lines = (ROOT / "tests" / "fixtures" / "requests.jsonl").read_text().splitlines()
    requests = [each for each in map(json.loads, lines) if each["channel"] == "dhcp" and each["dhcp_options"]]
    return list(dict.fromkeys((each["family"], each["dhcp_options"]["60"]) for each in requests))


def official(repository: Path) -> list[Rule]:
    tables = collect(str(repository), repository / "no plugins").tables
    return make_rules(tables.values(), acme.PLACE)


@live
@pytest.mark.parametrize("server", SERVERS)
def test_every_phone_that_was_seen_is_told_what_its_family_needs(server: str, repository: Path, tmp_path: Path) -> None:
    seen = observed()
    clients = [
        Client(f"02:00:00:00:00:{number:02x}", vendor_class.encode(), (1, 3, 66))
        for number, (_, vendor_class) in enumerate(seen)
    ]
    assert len(clients) > 100
    for (family, vendor_class), options in zip(
        seen, told(server, official(repository), tmp_path, clients), strict=True
    ):
        if family == "aastra":
            assert sub_options(options.pop(43)) == AASTRA, vendor_class
            assert options == NOBODY, vendor_class
        else:
            assert options == expected_of(family, vendor_class), vendor_class


@live
@pytest.mark.parametrize("server", SERVERS)
def test_an_oui_counts_only_where_option_60_tells_nothing(server: str, repository: Path, tmp_path: Path) -> None:
    expected = {
        Client("00:08:5d:00:00:01"): {66: URL + b"/Aastra"},
        Client("00:0f:d3:00:00:01"): {66: URL + b"/Digium"},
        Client("00:04:f2:00:00:01", b"\0\0\x36\x3d\x05\x01\x02Po"): POLYCOM,
        Client("00:04:13:00:00:01", b"udhcp 1.2"): {66: URL},
        Client("f0:16:53:00:00:01", None, (1, 160, 43)): YEALINK,
        Client("00:15:65:00:00:02", b"snom320"): {66: URL},
        Client("00:15:65:00:00:03", b"Snom320"): YEALINK,
        Client("00:04:13:00:00:02", b"Cisco Systems, Inc. IP Phone"): SCCP,
        Client("00:04:13:00:00:03", b"Cisco Systems, Inc. IP Phone\0"): SCCP,
        Client("00:04:13:00:00:04", b"Cisco Systems, Inc. IP Phones"): {66: URL},
        Client("08:00:0f:00:00:01", b"ipphone.mitel.com"): {},
        Client("02:00:00:00:00:01"): {},
        Client("02:00:00:00:00:02", b""): {},
    }
    found = told(server, official(repository), tmp_path, list(expected))
    for (client, options), answer in zip(expected.items(), found, strict=True):
        assert answer == options, client


@live
@pytest.mark.parametrize("server", SERVERS)
def test_every_kind_of_value_arrives_as_it_was_meant(server: str, tmp_path: Path) -> None:
    clients = [
        Client("02:00:00:00:00:01", b"Acme \"D\\esk' 7"),
        Client("02:00:01:00:00:01", b"unknown"),
        Client("02:00:00:00:00:02", b"Acme, Inc.\0"),
        Client("02:00:01:00:00:02", b"Acme"),
        Client("02:00:01:00:00:03", b"Acme, Inc.\0x"),
        Client("02:00:01:00:00:04", b"Other"),
        Client("02:00:02:00:00:01"),
    ]
    found = told(server, acme.rules(), tmp_path, clients)
    text = acme.NASTY_SENT.encode()
    desk = {
        66: text,
        67: f"192.0.2.10 192.0.2.10 {URL.decode()} 8667 69".encode(),
        150: bytes([198, 51, 100, 1]),
        224: b"\0",
        225: b"\7",
        226: b"\xff\xff",
        227: struct.pack("!I", 5),
        228: b"12",
        229: b"00:15:65",
        230: b" b ",
    }
    for options in found[:3]:
        assert sub_options(options.pop(43)) == {
            1: text,
            2: bytes([192, 0, 2, 10]),
            3: b"\1",
            4: b"\xff",
            5: b"\0\1",
            254: b"\xff" * 4,
        }
        assert options == desk
    assert found[3:5] == [{}, {66: b"late"}]
    assert found[5:] == [{43: text, 150: bytes([192, 0, 2, 10])}] * 2


@live
@pytest.mark.parametrize(
    ("server", "lines"),
    [
        ("isc", ["commit|10.99.0.20|2:0:0:0:a:1|06041.63.6d.65.0||", "commit|10.99.0.21|2:0:0:0:0:2|||"]),
        ("dnsmasq", ["add|02:00:00:00:0a:01|10.99.0.NN|Acme|", "add|02:00:00:00:00:02|10.99.0.NN||"]),
        ("kea", ["leases4_committed||", "leases4_committed||"]),
    ],
)
def test_the_hook_is_told(server: str, lines: list[str], tmp_path: Path) -> None:
    clients = [Client("02:00:00:00:0a:01", b"Acme\0"), Client("02:00:00:00:00:02")]
    told(server, acme.rules(), tmp_path, clients)
    events = (tmp_path / "events").read_text().splitlines()
    if server == "dnsmasq":  # which chooses addresses by what it makes of the MAC address
        events = ["|".join([*event.split("|")[:2], "10.99.0.NN", *event.split("|")[3:]]) for event in events]
    assert events == lines


# --- the command


def test_nothing_of_the_daemon_is_imported(settings: Path) -> None:
    code = (
        "import sys; from provd.__main__ import main\n"
        f"main(['dhcp-config', '--config', {str(settings)!r}, '--server', 'isc', '--provd-address', '192.0.2.10'])\n"
        "assert 'gevent' not in sys.modules and 'sqlite3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)


def test_ports_and_address_come_from_the_settings_unless_they_are_given(settings: Path) -> None:
    with settings.open("a") as file:
        file.write('external_ip = "192.0.2.77"\n[http]\nport = 8080\n[tftp]\nport = 1069\n')
    text = dhcp_config("--config", settings, "--server", "dnsmasq").stdout
    assert '"http://192.0.2.77:8080/Aastra"' in text
    assert "These phones ask on port 69, but provd's TFTP port is 1069." in text
    text = dhcp_config(
        "--config", settings, "--server", "dnsmasq", "--provd-address", "prov.example", "--http-port", 80,
        "--tftp-port", 69,
    ).stdout  # fmt: skip
    assert '"http://prov.example:80/Aastra"' in text
    assert "ask on port" not in text
    assert "Option 150 is left out: it needs an IPv4 address, and prov.example is none." in text
    assert ",150," not in text


@pytest.mark.parametrize("text", [None, "[http]\nport = 'x'\n", "["])
def test_settings_that_cannot_be_used_give_a_note_and_the_defaults(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "provd.toml"
    if text is not None:
        file.write_text(text)
    command = ["--config", file, "--server", "isc", "--provd-address", "192.0.2.10"]
    result = subprocess.run(
        [sys.executable, "-m", "provd", "dhcp-config", *map(str, command)], capture_output=True, text=True, cwd=ROOT
    )
    assert f"note: {file}" in result.stderr
    assert "note: the settings cannot be used, so their defaults are" in result.stderr
    assert "Traceback" not in result.stderr
    if Path("/usr/share/xivo-provd/plugins/dhcp.json").exists():
        assert "HTTP on port 8667" in result.stdout


@pytest.mark.parametrize("there", [True, False])
def test_a_state_folder_that_cannot_be_read_gives_a_note(settings: Path, tmp_path: Path, there: bool) -> None:
    (tmp_path / "state" / "plugins").rmdir()
    if there:
        (tmp_path / "state" / "plugins").touch()
    result = dhcp_config("--config", settings, "--server", "isc", "--provd-address", "192.0.2.10")
    assert f"note: {tmp_path}/state/plugins: " in result.stderr
    assert "so installed plugins are not looked at" in result.stderr
    assert "AastraIPPhone" in result.stdout


def test_a_repository_elsewhere_leaves_the_installed_plugins(settings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "plugins" / "xivo-acme-1.0"
    folder.mkdir()
    info = {"version": "1.0", "description": "Acme", "capabilities": {}, "dhcp": {"family": "acme", **acme.ACME}}
    (folder / "plugin-info").write_text(json.dumps(info))
    settings.write_text(f'[general]\nplugin_server = "http://192.0.2.1/"\nstate_dir = "{tmp_path}/state"\n')
    result = dhcp_config("--config", settings, "--server", "isc", "--provd-address", "192.0.2.10")
    assert "http://192.0.2.1/ is not a folder, so only installed plugins say something of phones" in result.stderr
    assert "acme-desk" in result.stdout
    assert "AastraIPPhone" not in result.stdout


def test_kea_can_have_the_hook_elsewhere(settings: Path) -> None:
    arguments = ["--config", settings, "--server", "kea", "--provd-address", "192.0.2.10"]
    assert f'"name": "{HOOK}"' in dhcp_config(*arguments).stdout
    text = dhcp_config(*arguments, "--hook", "/x/hook", "--kea-library", "/y/z.so").stdout
    assert '{"library": "/y/z.so", "parameters": {"name": "/x/hook", "sync": false}}' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--provd-address", "192.0.2.300"], "--provd-address: '192.0.2.300' is not allowed; allowed: an IPv4 or IPv6"),
        (["--provd-address", "a b"], "--provd-address: 'a b' is not allowed; allowed: an IPv4 or IPv6 address or a"),
        (["--provd-address", "x\ny"], "--provd-address: 'x\\ny' is not allowed"),
        (["--provd-address", "0.0.0.0"], "--provd-address: '0.0.0.0' is not allowed; allowed: an address or a name"),
        (["--provd-address", "fe80::1%eth0"], "--provd-address: 'fe80::1%eth0' is not allowed"),
        ([], "--provd-address: missing; needed: provd's address or name"),
        (["--provd-address", "192.0.2.1", "--http-port", "0"], "--http-port: '0' is not allowed; allowed: a whole"),
        (["--provd-address", "192.0.2.1", "--tftp-port", "x"], "--tftp-port: 'x' is not allowed; allowed: a whole"),
        (["--provd-address", "192.0.2.1", "--family", "acme"], "--family: 'acme' is not known; there are aastra, "),
        (["--provd-address", "192.0.2.1", "--hook", "/x"], "--hook: is for --server kea only"),
        (["--provd-address", "192.0.2.1", "--kea-fragment"], "--kea-fragment: is for --server kea"),
        (["--provd-address", "192.0.2.1", "--server", "bind"], "invalid choice: 'bind'"),
        (["--provd-address", "192.0.2.1", "--server", "kea", "--hook", "x"], "--hook: 'x' is not allowed; allowed: "),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_explained(settings: Path, arguments: list[str], message: str) -> None:
    result = dhcp_config("--config", settings, "--server", "isc", *arguments, status=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_without_any_table_there_is_nothing_to_print(settings: Path, tmp_path: Path) -> None:
    settings.write_text(f'[general]\nplugin_server = "{tmp_path}/no"\nstate_dir = "{tmp_path}/state"\n')
    result = dhcp_config("--config", settings, "--server", "isc", "--provd-address", "192.0.2.10", status=1)
    assert f"note: {tmp_path}/no/dhcp.json: No such file or directory" in result.stderr
    assert "nothing is known of phones" in result.stderr
